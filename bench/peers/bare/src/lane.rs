//! The bare loop of one thread.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::{Offset, TopicPartitionList};

use crate::PeerResult;
use crate::arguments::{Arguments, Job};
use crate::batch::Batch;
use crate::client;
use crate::committer::Committer;
use crate::event::Event;
use crate::source::{Incoming, Message, Source};
use crate::table::Table;

/// The size in bytes from which a batch is committed even if the loop has to wait for the previous
/// commit.
const MOST_BYTES: usize = 16 << 20;

/// One thread's loop over its partitions.
pub(crate) struct Lane {
    arguments: Arc<Arguments>,
    source: Source,
    committer: Committer,
    state: State,
}

/// The state that events change.
struct State {
    job: Job,
    tables: BTreeMap<i32, Table>,
    positions: BTreeMap<(usize, i32), i64>,
    batch: Batch,
}

impl Lane {
    /// Opens the loop of thread `number` over `partitions`, and restores the committed rows.
    pub(crate) fn open(arguments: Arc<Arguments>, number: usize, partitions: Vec<i32>) -> PeerResult<Self> {
        // The one number for all events is kept in a single table.
        let places: Vec<i32> = if arguments.job == Job::Total { vec![0] } else { partitions.clone() };
        let mut tables = places.into_iter().map(|partition| (partition, Table::default())).collect();
        if arguments.job != Job::Pass {
            crate::changelog::restore(&arguments, &mut tables)?;
        }
        let consumer: Arc<BaseConsumer> = Arc::new(client::consumer(&arguments).create()?);
        let mut read = TopicPartitionList::new();
        for topic in arguments.inputs() {
            for partition in &partitions {
                read.add_partition_offset(topic, *partition, Offset::Stored)?;
            }
        }
        let committer = Committer::open(arguments.clone(), number, consumer.clone())?;
        let source = Source::open(consumer, &arguments.inputs(), &read)?;
        let state = State { job: arguments.job, tables, positions: BTreeMap::new(), batch: Batch::default() };
        Ok(Self { arguments, source, committer, state })
    }

    /// Runs until the process is asked to end, then commits the rest.
    pub(crate) fn run(mut self, terminated: &AtomicBool) -> PeerResult<()> {
        let (mut committed, mut summed) = (Instant::now(), Instant::now());
        while !terminated.load(Ordering::Relaxed) {
            self.source.take(|incoming| match incoming {
                Incoming::Message(message) => self.state.take(&message),
                Incoming::End(_) => Ok(()),
            })?;
            if committed.elapsed() >= self.arguments.commit_interval && self.commit()? {
                committed = Instant::now();
            }
            if self.arguments.job == Job::Shared && summed.elapsed() >= Duration::from_secs(1) {
                let sum: u64 = self.state.tables.values().map(Table::sum).sum();
                writeln!(std::io::stdout(), "sum {sum}")?;
                summed = Instant::now();
            }
        }
        let Self { mut committer, mut state, .. } = self;
        if !state.positions.is_empty() {
            committer.give(state.take_batch())?;
        }
        committer.close()
    }

    /// Commits everything that is pending, unless the last commit is still running and the batch is
    /// small. Returns `false` in that case.
    fn commit(&mut self) -> PeerResult<bool> {
        if self.state.positions.is_empty() {
            return Ok(true);
        }
        // Changed rows enter the batch only when it is committed, and are counted in place until
        // then. But events that wait take memory, so a large batch is committed at once.
        if self.committer.is_busy() && self.state.batch.bytes() < MOST_BYTES {
            return Ok(false);
        }
        self.committer.give(self.state.take_batch())?;
        Ok(true)
    }
}

impl State {
    fn take(&mut self, message: &Message<'_>) -> PeerResult<()> {
        let event: Event<'_> = serde_json::from_slice(message.value)?;
        match self.job {
            Job::Pass => {
                self.batch.add(message.partition, message.key, |bytes| serde_json::to_writer(bytes, &event))?;
            }
            Job::Total => {
                if let Some(table) = self.tables.get_mut(&0) {
                    table.count("all");
                }
            }
            _ => {
                if let Some(table) = self.tables.get_mut(&message.partition) {
                    table.count(&event.page);
                }
            }
        }
        self.positions.insert((message.topic, message.partition), message.offset + 1);
        Ok(())
    }

    /// Takes everything that is not committed yet.
    fn take_batch(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        for (partition, table) in &mut self.tables {
            table.take_changed(|key, count| {
                // Writing to memory does not fail.
                let _ = batch.add(*partition, key.as_bytes(), |bytes| write!(bytes, "{count}"));
            });
        }
        let moved = std::mem::take(&mut self.positions);
        batch.positions = moved.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect();
        batch
    }
}
