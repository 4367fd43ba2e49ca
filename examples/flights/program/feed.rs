//! The feed: its options on the command line, and the source that sends the flights.

use std::path::PathBuf;
use std::time::Duration;

use marlowe::HandlerError;
use marlowe::timer::SourceWriter;
use tokio::time::Instant;

use super::flight::Flight;
use super::timetable::Timetable;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013.csv.gz");

/// The file from which the flights come, and the rate at which they are fed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Feed {
    /// The file of flights, as .csv or .csv.gz
    #[arg(long, env = "FLIGHTS_CSV", value_name = "FILE", default_value = SHIPPED, hide_default_value = true)]
    input: PathBuf,
    /// Feed this many flights per second [default: as fast as possible]
    #[arg(long, env = "FLIGHTS_RATE", value_name = "N", value_parser = rate)]
    rate: Option<f64>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "it must be a number of flights above 0, such as 5000".into())
}

impl Default for Feed {
    fn default() -> Self {
        PathBuf::from(SHIPPED).into()
    }
}

impl From<PathBuf> for Feed {
    fn from(input: PathBuf) -> Self {
        Self { input, rate: None }
    }
}

impl Feed {
    /// Sends every row after the last committed position. A position is a number of rows.
    pub(crate) async fn run(&self, flights: SourceWriter<Option<String>, Flight>) -> Result<(), HandlerError> {
        let mut timetable = Timetable::open(&self.input)?;
        let mut position = flights.position();
        timetable.skip(position)?;
        let (started, first) = (Instant::now(), position);
        while let Some(row) = timetable.row()? {
            if let Some(rate) = self.rate {
                let due = Duration::try_from_secs_f64((position - first) as f64 / rate)?;
                tokio::time::sleep_until(started + due).await;
            }
            position += 1;
            flights.send(&row.flight.tailnum, &row.flight, row.scheduled, position).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Feed, clap::Error> {
        let command = Feed::augment_args(Command::new("flights").no_binary_name(true));
        Feed::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    #[test]
    fn a_rate_is_a_number_above_zero() -> Result<(), clap::Error> {
        assert_eq!(parse(&[])?.rate, None);
        assert_eq!(parse(&["--rate", "5000"])?.rate, Some(5000.0));
        for bad in ["0", "-1", "fast", "inf"] {
            let error = parse(&[&format!("--rate={bad}")]).expect_err("it is no rate").to_string();
            assert!(error.contains(bad) && error.contains("above 0"), "{error}");
        }
        Ok(())
    }
}
