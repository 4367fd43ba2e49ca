use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe::{App, Table};

/// How many partitions all has.
pub(crate) const PARTITIONS: u32 = 4;

/// A program that counts events by key, and passes each on: so it can be told whether one is lost, or there twice.
#[derive(Clone)]
pub(crate) struct Program {
    name: String,
    /// How many events this one handled in each partition, committed or not.
    handled: Arc<[AtomicU64]>,
}

/// What is declared.
pub(crate) struct Declared {
    pub(crate) counts: Table<String, u64>,
}

impl Program {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), handled: (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect() }
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
        (app, Declared { counts })
    }

    /// The input: keys, and numbers that are each there once.
    pub(crate) fn events(&self) -> String {
        format!("{}-events", self.name)
    }

    /// The output: the same numbers.
    pub(crate) fn outputs(&self) -> String {
        format!("{}-outputs", self.name)
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
