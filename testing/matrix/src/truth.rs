//! The state at the end of a run: what was fed, and what tables and topics have then.

use std::collections::BTreeMap;
use std::time::Duration;

use marlowe::Table;
use marlowe::broker::Partition;
use marlowe::sim::Simulation;
use marlowe::table::GlobalClient;

use crate::declared::Declared;
use crate::input::Input;
use crate::program::APP;
use crate::request::Answer;
use crate::rows::{List, Rows};
use crate::shape::Shape;

/// The state at the end of a run.
pub(crate) struct Truth {
    /// The inputs by key, in order.
    pub(crate) inputs: BTreeMap<String, Vec<Input>>,
    pub(crate) table: Rows,
    pub(crate) others: Rows,
    pub(crate) groups: Rows,
    /// The global table's copy on each worker.
    pub(crate) copies: Vec<Rows>,
    /// The ids of the events that have an output.
    pub(crate) outputs: Vec<u64>,
    /// The ids of the events that have a dead letter.
    pub(crate) dead: Vec<u64>,
    /// The rows of the table as its changelog has them.
    pub(crate) logged: Rows,
    pub(crate) accounts: Rows,
    /// The answers that were sent to a topic, with their keys.
    pub(crate) answers: Vec<(String, Answer)>,
}

impl Truth {
    /// Reads the state after everything is processed. `fed` are the events with their keys, in
    /// order.
    pub(crate) async fn collect(
        sim: &Simulation,
        shape: &Shape,
        declared: &Declared,
        fed: Vec<(String, Input)>,
    ) -> Self {
        let mut inputs: BTreeMap<String, Vec<Input>> = BTreeMap::new();
        for (key, input) in fed {
            inputs.entry(key).or_default().push(input);
        }
        let copies = read_copies(sim, shape, declared).await;
        let logged = read_changelog(sim).await;
        let (mut accounts, mut answers) = (Rows::new(), Vec::new());
        if let Some(calls) = declared.calls {
            accounts = read_rows(sim, calls.accounts).await;
            answers = read_answers(sim).await;
        }
        Self {
            inputs,
            table: read_rows(sim, declared.table).await,
            others: read_rows(sim, declared.others).await,
            groups: if shape.regroups { read_rows(sim, declared.groups).await } else { Rows::new() },
            copies,
            outputs: read_ids(sim, "outputs").await,
            dead: if shape.has_failures { read_ids(sim, "dead").await } else { Vec::new() },
            logged,
            accounts,
            answers,
        }
    }

    /// Returns the inputs of all keys.
    pub(crate) fn all_inputs(&self) -> impl Iterator<Item = &Input> {
        self.inputs.values().flatten()
    }
}

/// Reads all rows of a table through a view.
async fn read_rows(sim: &Simulation, table: Table<String, List>) -> Rows {
    let rows = sim.open(table.view()).iter().await.unwrap_or_else(|error| panic!("a view: {error}"));
    rows.into_iter().collect()
}

/// Reads each worker's copy of the global table, once all are up to date.
async fn read_copies(sim: &Simulation, shape: &Shape, declared: &Declared) -> Vec<Rows> {
    let of_workers = (0..shape.workers).map(|number| {
        let copy = sim.open_on(number, declared.global);
        copy.unwrap_or_else(|| panic!("worker {number} does not run"))
    });
    let of_workers: Vec<_> = of_workers.collect();
    catch_up(sim, &of_workers).await;
    let mut copies = Vec::new();
    for copy in of_workers {
        copies.push(copy.iter().unwrap_or_else(|error| panic!("a copy: {error}")).into_iter().collect());
    }
    copies
}

/// Waits until all copies are as far as the furthest one. A worker's drain waits for the worker's
/// own copy, but the drain of another worker may end later, after it has processed another change.
async fn catch_up(sim: &Simulation, copies: &[GlobalClient<String, List>]) {
    let partitions = copies.first().map_or(0, |copy| copy.partitions());
    for partition in (0..partitions).map(Partition::new) {
        let at = || copies.iter().map(move |copy| copy.position(partition).changelog);
        let furthest = at().max();
        let is_behind = || at().any(|at| Some(at) < furthest);
        for _ in 0..1000 {
            if !is_behind() {
                break;
            }
            sim.elapse(Duration::from_millis(10)).await;
        }
        assert!(!is_behind(), "copies do not catch up: {:?}", at().collect::<Vec<_>>());
    }
}

/// Reads the rows of the table from its changelog.
async fn read_changelog(sim: &Simulation) -> Rows {
    let mut logged = Rows::new();
    for record in sim.records(&format!("{APP}-table-changelog")).await {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        match record.value {
            Some(value) => {
                let list = serde_json::from_slice(&value).unwrap_or_else(|error| panic!("the changelog: {error}"));
                logged.insert(key, list);
            }
            None => drop(logged.remove(&key)),
        }
    }
    logged
}

/// Reads the answers that were sent to a topic, with their keys.
async fn read_answers(sim: &Simulation) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for record in sim.records("answers").await {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let answer = serde_json::from_slice(record.value.as_deref().unwrap_or_default());
        answers.push((key, answer.unwrap_or_else(|error| panic!("no answer: {error}"))));
    }
    answers
}

/// Reads the ids of the events in a topic, whose values are ids or whole events.
async fn read_ids(sim: &Simulation, topic: &str) -> Vec<u64> {
    let records = sim.records(topic).await;
    let id = |value: &[u8]| match serde_json::from_slice::<serde_json::Value>(value) {
        Ok(serde_json::Value::Number(number)) => number.as_u64().unwrap_or_default(),
        Ok(input) => input["id"].as_u64().unwrap_or_default(),
        Err(error) => panic!("{topic}: {error}"),
    };
    records.iter().map(|record| id(record.value.as_deref().unwrap_or_default())).collect()
}
