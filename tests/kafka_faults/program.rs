use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe::{App, Table, Topic};

/// How many partitions all has.
pub(crate) const PARTITIONS: u32 = 4;

/// A program that counts events by key, and passes each on: so it can be told whether one is lost, or there twice.
#[derive(Clone)]
pub(crate) struct Program {
    name: String,
    /// How many rows the table has besides.
    pub(crate) rows: u64,
    /// Whether it has another topic.
    has_passing: bool,
    /// How many events this one handled in each partition, committed or not.
    handled: Arc<[AtomicU64]>,
}

/// What is declared.
pub(crate) struct Declared {
    pub(crate) outputs: Topic<String, u64>,
    pub(crate) counts: Table<String, u64>,
}

impl Program {
    pub(crate) fn new(name: &str) -> Self {
        let handled = (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect();
        Self { name: name.to_owned(), rows: 0, has_passing: false, handled }
    }

    /// The same, where the table has so many rows besides its counts.
    pub(crate) fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }

    /// One of those rows.
    pub(crate) fn row(number: u64) -> String {
        format!("row-{number}")
    }

    /// The same, with an agent on another topic, which has nothing to do with this.
    pub(crate) fn with_passing(self) -> Self {
        Self { has_passing: true, ..self }
    }

    /// The app, to be started.
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

    /// The input: keys, and numbers that are each there once.
    pub(crate) fn events(&self) -> String {
        format!("{}-events", self.name)
    }

    /// The output: the same numbers.
    pub(crate) fn outputs(&self) -> String {
        format!("{}-outputs", self.name)
    }

    /// The other topic.
    pub(crate) fn passing(&self) -> String {
        format!("{}-passing", self.name)
    }

    pub(crate) fn changelog(&self) -> String {
        format!("{}-counts-changelog", self.name)
    }

    /// How many events this one handled in a partition.
    pub(crate) fn handled_in(&self, partition: u32) -> u64 {
        self.handled[partition as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn handled(&self) -> u64 {
        (0..PARTITIONS).map(|partition| self.handled_in(partition)).sum()
    }
}
