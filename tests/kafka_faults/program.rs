//! The program that the workers of these tests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe::{App, Table, Topic};

/// The number of partitions of all topics and tables.
pub(crate) const PARTITIONS: u32 = 4;

/// A program that counts events by key and passes each of them on. So a test can tell whether an
/// event is lost or there twice.
#[derive(Clone)]
pub(crate) struct Program {
    name: String,
    /// The number of rows in the table that are not counts.
    pub(crate) rows: u64,
    /// Set if the program has another topic.
    has_passing: bool,
    /// The number of events that this program handled in each partition, committed or not.
    handled: Arc<[AtomicU64]>,
}

/// The topic and the table that tests use.
pub(crate) struct Declared {
    pub(crate) outputs: Topic<String, u64>,
    pub(crate) counts: Table<String, u64>,
}

impl Program {
    pub(crate) fn new(name: &str) -> Self {
        let handled = (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect();
        Self { name: name.to_owned(), rows: 0, has_passing: false, handled }
    }

    /// Returns the program with `rows` rows in its table that are not counts.
    pub(crate) fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }

    /// Returns the key of one of those rows.
    pub(crate) fn row(number: u64) -> String {
        format!("row-{number}")
    }

    /// Returns the program with an agent on another topic, which has nothing to do with the rest.
    pub(crate) fn with_passing(self) -> Self {
        Self { has_passing: true, ..self }
    }

    /// Returns the app, ready to start.
    pub(crate) fn app(&self) -> App {
        self.declare().0
    }

    pub(crate) fn declare(&self) -> (App, Declared) {
        let mut app = App::new(&self.name);
        app.partitions(PARTITIONS);
        let events = app.topic::<String, u64>(&self.events());
        let outputs = app.topic::<String, u64>(&self.outputs());
        let counts = app.table::<String, u64>("counts");
        let handled = self.handled.clone();
        app.agent("count", events)
            .with(counts)
            .each_event(async move |counts, event| {
                counts.update(event.key, |count| *count += 1);
                handled[event.partition.get() as usize].fetch_add(1, Ordering::Relaxed);
                Ok(event.value)
            })
            .sink(outputs);
        if self.has_passing {
            let passing = app.topic::<String, u64>(&self.passing());
            app.agent("pass", passing).each(async |(), _| Ok(()));
        }
        (app, Declared { outputs, counts })
    }

    /// Returns the name of the input topic. Its events have a key and a number, and each number is
    /// there once.
    pub(crate) fn events(&self) -> String {
        format!("{}-events", self.name)
    }

    /// Returns the name of the output topic, which has the same numbers.
    pub(crate) fn outputs(&self) -> String {
        format!("{}-outputs", self.name)
    }

    /// Returns the name of the other topic.
    pub(crate) fn passing(&self) -> String {
        format!("{}-passing", self.name)
    }

    pub(crate) fn changelog(&self) -> String {
        format!("{}-counts-changelog", self.name)
    }

    /// Returns the number of events that this program handled in a partition.
    pub(crate) fn handled_in(&self, partition: u32) -> u64 {
        self.handled[partition as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn handled(&self) -> u64 {
        (0..PARTITIONS).map(|partition| self.handled_in(partition)).sum()
    }
}
