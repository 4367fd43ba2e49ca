//! The board: how it is read from the tables, and how it looks as text.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use marlowe::table::{GlobalReader, TableView, ViewError};

use super::{Airport, Carrier, names};

/// The number of carriers and of airports for which the board has room.
const ROWS: usize = 10;

/// The longest time for which a read waits for a slice that is moving.
const DEADLINE: Duration = Duration::from_secs(2);

/// The board: totals, and the carriers and airports with the most flights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) totals: Totals,
    pub(crate) carriers: Vec<(String, Carrier)>,
    pub(crate) carriers_in_all: usize,
    pub(crate) airports: Vec<(String, Airport)>,
    pub(crate) airports_in_all: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) flights: i64,
    pub(crate) cancelled: i64,
    pub(crate) departures: i64,
    pub(crate) arrivals: i64,
    pub(crate) dep_delay_minutes: i64,
}

impl Board {
    /// Reads the board from the committed tables.
    pub(crate) async fn read(
        carriers: &TableView<String, Carrier>,
        airports: &TableView<String, Airport>,
        totals: &GlobalReader<String, i64>,
    ) -> Result<Self, ViewError> {
        let mut carriers = carriers.clone().within(DEADLINE).iter().await?;
        carriers.sort_by_key(|(_, carrier)| Reverse(carrier.flights));
        let mut airports = airports.clone().within(DEADLINE).iter().await?;
        airports.sort_by_key(|(_, airport)| Reverse(airport.traffic()));
        let (carriers_in_all, airports_in_all) = (carriers.len(), airports.len());
        carriers.truncate(ROWS);
        airports.truncate(ROWS);
        let total = |name: &str| Ok::<i64, ViewError>(totals.try_get(name)?.unwrap_or_default());
        let totals = Totals {
            flights: total("flights")?,
            cancelled: total("cancelled")?,
            departures: total("departures")?,
            arrivals: total("arrivals")?,
            dep_delay_minutes: total("dep_delay_minutes")?,
        };
        Ok(Self { totals, carriers, carriers_in_all, airports, airports_in_all })
    }
}

/// Returns a whole number with its thousands separated by commas.
pub(crate) fn grouped(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the minutes per flight.
pub(crate) fn mean(minutes: i64, flights: u64) -> String {
    match flights {
        0 => "–".into(),
        flights => format!("{:.1}", minutes as f64 / flights as f64),
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { flights, cancelled, departures, arrivals, dep_delay_minutes } = self.totals;
        writeln!(
            f,
            "{:>12}{:>12}{:>12}{:>12}{:>24}",
            "flights", "cancelled", "departures", "arrivals", "minutes left late"
        )?;
        let [flights, cancelled, departures, arrivals, late] =
            [flights, cancelled, departures, arrivals, dep_delay_minutes].map(grouped);
        writeln!(f, "{flights:>12}{cancelled:>12}{departures:>12}{arrivals:>12}{late:>24}\n")?;
        writeln!(
            f,
            "{:<21}{:>8}{:>7}{:>7}   {:<8}{:>9}{:>9}{:>7}",
            "carrier", "flights", "canc.", "late", "airport", "departed", "arrived", "late"
        )?;
        for line in 0..self.carriers.len().max(self.airports.len()) {
            let carrier = self.carriers.get(line).map_or_else(String::new, |(code, carrier)| {
                let Carrier { flights, cancelled, dep_delay_total, .. } = *carrier;
                let late = mean(dep_delay_total, flights - cancelled);
                let name = names::carrier(code);
                format!("{code:<2} {name:<18}{:>8}{:>7}{late:>7}", grouped(flights), grouped(cancelled))
            });
            let airport = self.airports.get(line).map_or_else(String::new, |(code, airport)| {
                let Airport { departures, arrivals, arr_delay_total, .. } = *airport;
                let late = mean(arr_delay_total, arrivals);
                format!("{code:<8}{:>9}{:>9}{late:>7}", grouped(departures), grouped(arrivals))
            });
            writeln!(f, "{}", format!("{carrier:<43}   {airport}").trim_end())?;
        }
        writeln!(f)
    }
}
