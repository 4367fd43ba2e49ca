//! Faust's `tabletest` with its verifier, and Faust's consistency checker.
//!
//! A table adds up the ordered numbers of each partition, through crashes and rebalances. Each
//! partition's sum must be that of all its numbers, and none may come twice or be left out. The
//! consistency checker computes the table again from the source and compares it with the changelog.

use std::collections::BTreeMap;

use marlowe::App;
use marlowe_broker::Partition;
use serde::{Deserialize, Serialize};

use crate::crew::{Crew, End};
use crate::load::{Load, key_of};
use crate::place::{PARTITIONS, Place, TestResult};

/// The number of records in each partition.
const NUMBERS: i64 = 1500;

/// The table's row for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    sum: i64,
    /// The number that must come next.
    next: i64,
    /// Numbers that came instead of the next one.
    gaps: Vec<i64>,
}

impl Row {
    fn add(&mut self, number: i64) {
        if number != self.next {
            self.gaps.push(number);
        }
        self.next = number + 1;
        self.sum += number;
    }
}

fn program(place: &Place) -> App {
    let mut app = App::new(&place.app);
    app.partitions(PARTITIONS);
    let data = app.topic::<String, i64>(&place.topic("data"));
    let rows = app.table::<String, Row>("rows");
    app.agent("add", data).with(rows).each_event(async |rows, event| {
        rows.update(event.key, |row| row.add(event.value));
        Ok(())
    });
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tabletest() -> TestResult {
    let place = Place::new("tabletest").await?;
    place.create("data").await?;
    let keys: Vec<String> = Partition::all(PARTITIONS).map(key_of).collect();
    let wanted = keys.clone();
    let numbers = (0..NUMBERS).flat_map(move |number| keys.clone().into_iter().map(move |key| (key, number)));
    let mut crew = Crew::new(&place, 3, || program(&place))?;
    crew.start(0).await?;
    let load = Load::begin(&place, numbers);
    crew.start(1).await?;
    crew.start(2).await?;
    for (round, end) in [End::Crashes, End::Stops, End::Crashes, End::Crashes].into_iter().enumerate() {
        place.reaches("data", 1000 * (1 + round as u64)).await?;
        crew.end(round % 3, end).await?;
        if round == 2 {
            crew.forget(round % 3)?;
        }
        crew.start(round % 3).await?;
    }
    assert_eq!(load.all().await? as i64, NUMBERS * i64::from(PARTITIONS));
    crew.drain().await?;

    let table: BTreeMap<String, Row> = place.table("rows").await?;
    let row = Row { sum: (0..NUMBERS).sum(), next: NUMBERS, gaps: Vec::new() };
    assert_eq!(table, wanted.into_iter().map(|key| (key, row.clone())).collect());

    let mut anew: BTreeMap<String, Row> = BTreeMap::new();
    for record in place.records("data").await?.iter().flatten() {
        anew.entry(record.key.clone()).or_default().add(record.number());
    }
    assert_eq!(anew, table);
    Ok(())
}
