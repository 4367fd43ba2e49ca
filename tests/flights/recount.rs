//! A plain count of the flights, with which the tables are compared.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use marlowe::Running;
use marlowe::broker::{Partition, Partitioner};

use crate::program::{Airport, Carrier, Tables};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013.csv.gz");

/// The rows of all tables, either as they must be or as the program has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) carriers: BTreeMap<String, Carrier>,
    pub(crate) airports: BTreeMap<String, Airport>,
    pub(crate) totals: BTreeMap<String, i64>,
}

/// Returns the shipped file's first line, and its first `rows` rows.
pub(crate) fn shipped(rows: usize) -> std::io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(SHIPPED)?).read_to_string(&mut text)?;
    let end = text.match_indices('\n').nth(rows).map_or(text.len(), |(end, _)| end + 1);
    text.truncate(end);
    Ok(text)
}

impl Counted {
    /// Counts the rows in a plain loop.
    pub(crate) fn of(csv: &str) -> Self {
        let mut lines = csv.lines();
        let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name: &str| columns.iter().position(|column| *column == name).expect("the file has the column");
        let [carrier, origin, dest, dep_delay, arr_delay] =
            ["carrier", "origin", "dest", "dep_delay", "arr_delay"].map(column);
        let mut counted = Self::default();
        for line in lines {
            let row: Vec<&str> = line.split(',').collect();
            let delay = |column: usize| (!row[column].is_empty()).then(|| row[column].parse::<i64>().expect("minutes"));
            let of_carrier = counted.carriers.entry(row[carrier].into()).or_default();
            of_carrier.flights += 1;
            counted.add("flights", 1);
            let of_carrier = counted.carriers.entry(row[carrier].into()).or_default();
            match delay(dep_delay) {
                Some(minutes) => {
                    of_carrier.dep_delay_total += minutes;
                    of_carrier.dep_delay_max = of_carrier.dep_delay_max.max(Some(minutes));
                    let airport = counted.airports.entry(row[origin].into()).or_default();
                    airport.departures += 1;
                    airport.dep_delay_total += minutes;
                    counted.add("departures", 1);
                    counted.add("dep_delay_minutes", minutes);
                }
                None => {
                    of_carrier.cancelled += 1;
                    counted.add("cancelled", 1);
                }
            }
            if let Some(minutes) = delay(arr_delay) {
                let airport = counted.airports.entry(row[dest].into()).or_default();
                airport.arrivals += 1;
                airport.arr_delay_total += minutes;
                counted.add("arrivals", 1);
            }
        }
        counted.rank();
        counted
    }

    fn add(&mut self, total: &str, more: i64) {
        *self.totals.entry(total.into()).or_default() += more;
    }

    /// Ranks the airports of each of the eight partitions among themselves.
    fn rank(&mut self) {
        for partition in Partition::all(8) {
            let mut slice: Vec<(&String, &mut Airport)> = self
                .airports
                .iter_mut()
                .filter(|(code, _)| Partitioner::Murmur2.partition(code.as_bytes(), 8) == partition)
                .collect();
            slice.sort_by_key(|(code, airport)| (u64::MAX - airport.departures - airport.arrivals, (*code).clone()));
            for ((_, airport), rank) in slice.into_iter().zip(1..) {
                airport.rank = Some(rank);
            }
        }
    }

    /// Returns what the program counted, with the copy of the totals that worker `worker` has.
    pub(crate) async fn by(
        running: &Running,
        tables: Tables,
        worker: usize,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            carriers: running.open_on(worker, tables.carriers.view()).iter().await?.into_iter().collect(),
            airports: running.open_on(worker, tables.airports.view()).iter().await?.into_iter().collect(),
            totals: running.open_on(worker, tables.totals).iter()?.into_iter().collect(),
        })
    }
}
