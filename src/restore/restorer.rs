//! The restore of a shard, from the worker's store of it to a plan that a lane can open.
//!
//! # Why the order matters
//!
//! A restored shard must have exactly the state that belongs to its agents' places. A commit writes
//! both in one transaction. So the inputs' positions and places are looked up first, and the ends
//! of the changelogs after that: up to those ends, the logs have all that was committed with the
//! positions. The former owner adds nothing to this. The group assigns a shard only when its owner
//! has given it up, with its work committed, or is gone, and then its commits are refused.
//!
//! A changelog is read by position up to the end that it had when it was looked up. A store whose
//! position is outside of its log, or that is too old for its tombstones (see `buffer`), is emptied
//! and rebuilt. Reading itself takes time. If it took longer than the log keeps tombstones, the
//! store is rebuilt again, a few times at most.
//!
//! The store keeps the rows that were read even when the restore is cancelled.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{Clock, Isolation, Offset, Partition, SharedBroker, Timestamp};
use marlowe_state::{MemoryStore, PositionSlot, SlicePosition, Store, StoreError, StoreLayout, TableIndex};

use tokio::sync::Semaphore;

use super::buffer::ChangelogRange;
use super::cancellation::Cancellation;
use super::changelog_reader::ChangelogReader;
use super::folder_owner::FolderOwner;
use super::inputs::InputLookup;
use super::lookups::{End, Lookups};
use crate::backoff::Backoff;
use crate::error::RunError;
use crate::host::Host;
use crate::metrics::{Metrics, PriorState};
use crate::program::Program;
use crate::query::Owner;
use crate::shard::{ShardId, ShardInputs, ShardPlan};
use crate::topology::Topology;
use crate::turn::Caution;

/// The pause before a store that readers still use is opened again, and how many times that is
/// tried.
const IN_USE_PAUSE: Duration = Duration::from_millis(50);
const IN_USE_TRIES: u32 = 100;

/// The kind of stores in which a worker keeps its tables.
#[derive(Clone)]
pub(crate) enum StateStore {
    /// In memory. A restart reads the whole changelog.
    Memory,
    /// In LMDB stores in a folder. A restart reads only the changelog's tail.
    Folder { path: PathBuf, owner: FolderOwner, host: Arc<dyn Host> },
}

impl StateStore {
    /// Opens the store `name`.
    pub(crate) fn open(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        Ok(match self {
            StateStore::Memory => Arc::new(MemoryStore::new(layout)),
            StateStore::Folder { path, owner, host } => {
                let store = host.open_store(&path.join(name), layout, owner.of_store(name));
                store.map_err(RunError::store(format!("opening the state of {name}")))?
            }
        })
    }

    /// Opens the store `name`, which was open until just now. Waits a few seconds for readers that
    /// still use it.
    pub(crate) async fn open_in_time(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        let mut backoff = Backoff::every(IN_USE_PAUSE);
        loop {
            match self.open(name, layout.clone()) {
                Err(RunError::Store { source, .. })
                    if backoff.pauses() < IN_USE_TRIES && matches!(*source, StoreError::InUse { .. }) =>
                {
                    backoff.wait().await;
                }
                opened => return opened,
            }
        }
    }
}

/// The progress of a worker's restores, in offsets.
#[derive(Debug, Default)]
pub(crate) struct RestoreProgress {
    pub(crate) remaining: AtomicU64,
    pub(crate) restored: AtomicU64,
    /// The part of `restored` that was read for shards that had a standby here.
    pub(crate) promoted: AtomicU64,
    /// Offsets that standbys read.
    pub(crate) followed: AtomicU64,
}

/// The store that a restore begins with.
pub(crate) enum StartingPoint {
    /// The store in the worker's folder, if there is one.
    Kept,
    /// A store that is still open here.
    Open(Arc<dyn Store>),
    /// The open store of a standby.
    Standby(Arc<dyn Store>),
}

/// The outcome of a restore.
pub(crate) enum Restored {
    /// The shard is ready to be opened in a lane.
    Ready(Box<ShardPlan>, PriorState),
    /// The restore was cancelled. The store has what was read.
    Cancelled(Option<Arc<dyn Store>>),
}

/// The outcome of reading the changelogs. It is in time if the store reached their ends before
/// tombstones could go that it had not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    InTime,
    TooLate,
}

/// How many times a store that was too late is rebuilt.
const REBUILDS: u32 = 5;

/// The permits that bound how many shards are restored at a time. Restores with much to read wait
/// only for each other. So a shard with little to read is open soon, and one with nothing to read
/// at once.
pub(crate) struct RestorePermits {
    looking: Semaphore,
    short: Semaphore,
    long: Semaphore,
}

impl RestorePermits {
    /// The most records that can be read in an instant. A restore with more has much to read.
    const MUCH: u64 = 10_000;

    /// How many restores look up what there is to read at the same time. Their questions to the
    /// broker go out together.
    const LOOKING: usize = 256;

    /// Creates permits for `at_a_time` restores with much to read, and for as many with little.
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self {
            looking: Semaphore::new(Self::LOOKING),
            short: Semaphore::new(at_a_time),
            long: Semaphore::new(at_a_time),
        }
    }

    /// Returns the permits for restores that have `records` records to read.
    fn of(&self, records: u64) -> &Semaphore {
        if records > Self::MUCH { &self.long } else { &self.short }
    }
}

/// The parts that restores need.
pub(crate) struct Restorer {
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) broker: SharedBroker,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) inputs: InputLookup,
    pub(crate) stores: StateStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<RestoreProgress>,
    pub(crate) metrics: Metrics,
    pub(crate) turns: RestorePermits,
}

impl Restorer {
    /// Makes a shard ready to be opened: brings its store to what is committed, and looks up its
    /// inputs' positions. `basis` is the store that the worker already has.
    pub(crate) async fn restore(
        &self,
        id: ShardId,
        owner: Owner,
        cancellation: &Cancellation,
        basis: StartingPoint,
    ) -> Result<Restored, RunError> {
        // None of the semaphores is ever closed.
        let looking = self.turns.looking.acquire().await;
        if cancellation.is_cancelled() {
            return Ok(Restored::Cancelled(match basis {
                StartingPoint::Kept => None,
                StartingPoint::Open(store) | StartingPoint::Standby(store) => Some(store),
            }));
        }
        let group = &self.topology.groups[id.group];
        let (store, had) = match basis {
            StartingPoint::Standby(store) => (store, Some(PriorState::Standby)),
            StartingPoint::Open(store) => (store, None),
            StartingPoint::Kept => {
                let (name, layout) = self.store_of(id);
                (self.stores.open_in_time(&name, layout).await?, None)
            }
        };
        let had = had.unwrap_or_else(|| {
            let slots = (0..group.tables.len() as u32).map(PositionSlot);
            let is_new = slots.map(|slot| store.position(slot).changelog).all(|at| at == Offset::ZERO);
            if is_new { PriorState::Nothing } else { PriorState::Store }
        });
        let (mut inputs, mut logs) = self.look(id, &*store).await?;
        // Most shards of a new app, or of one that comes back to its folder, have nothing to read.
        // They need no reader.
        let is_there = |log: &ChangelogRange| log.from == log.end && store.position(log.slot).changelog == log.end;
        let is_ready = logs.iter().all(is_there);
        // In this case the logs have nothing that the store lacks.
        let ready_as_of = is_ready.then(|| logs.iter().map(|log| log.looked_at).min()).flatten();
        if !is_ready && !cancellation.is_cancelled() {
            drop(looking);
            let turns = self.turns.of(logs.iter().map(|log| log.from.distance_to(log.end)).sum());
            let mut turn = turns.try_acquire().ok();
            if turn.is_none() {
                turn = turns.acquire().await.ok();
                if cancellation.is_cancelled() {
                    return Ok(Restored::Cancelled(Some(store)));
                }
                // What was looked up may have changed during the wait.
                (inputs, logs) = self.look(id, &*store).await?;
            }
            let mut rebuilds = 0;
            while self.catch_up(&store, had, logs, cancellation).await? == Caught::TooLate {
                if rebuilds == REBUILDS {
                    tracing::warn!(
                        group = %group.name, partition = %id.partition, "reading the changelogs takes longer than they keep \
                         tombstones, so rows that were removed may be back: raise `delete.retention.ms` of {:?}", group.tables
                    );
                    break;
                }
                rebuilds += 1;
                // The store's age makes `look` empty it.
                (inputs, logs) = self.look(id, &*store).await?;
            }
            drop(turn);
        }
        if cancellation.is_cancelled() {
            return Ok(Restored::Cancelled(Some(store)));
        }
        inputs.expired.iter().for_each(|expired| expired.pass_over(&self.metrics));
        let positions = self.restored_positions(&group.tables, &*store, &inputs, ready_as_of);
        store.apply(&mut [], &positions).map_err(RunError::store("restoring a store"))?;
        tracing::debug!(
            group = %group.name, partition = %id.partition, opening = owner.opening, generation = owner.generation,
            "restored, and goes on at {:?}", inputs.starts.iter().map(|(topic, start)| (topic, &start.agents)).collect::<Vec<_>>()
        );
        Ok(Restored::Ready(Box::new(ShardPlan { id, owner, store, inputs, caution: Caution::default() }), had))
    }

    /// Returns the positions of a store that has all rows of its `tables`. `as_of` is the time at
    /// which it was known to be current, if it had nothing to read.
    fn restored_positions(
        &self,
        tables: &[Arc<str>],
        store: &dyn Store,
        inputs: &ShardInputs,
        as_of: Option<Timestamp>,
    ) -> Vec<(PositionSlot, SlicePosition)> {
        let position = |(index, name): (usize, &Arc<str>)| {
            let slot = PositionSlot(index as u32);
            let inbox = self
                .program
                .table(name)
                .map_or(Offset::ZERO, |table| inputs.at(&table.identity().inbox, &format!("{name}-inbox")));
            let position = store.position(slot);
            (slot, SlicePosition { inbox, as_of: as_of.unwrap_or(position.as_of), ..position })
        };
        tables.iter().enumerate().map(position).collect()
    }

    /// Reads what the store does not have yet.
    async fn catch_up(
        &self,
        store: &Arc<dyn Store>,
        had: PriorState,
        logs: Vec<ChangelogRange>,
        cancellation: &Cancellation,
    ) -> Result<Caught, RunError> {
        let reader = self.broker.reader(Isolation::ReadCommitted).map_err(RunError::broker("restoring"))?;
        let mut replay = ChangelogReader::new(store.clone(), reader, self.clock.clone());
        for log in logs {
            replay.add(log)?;
        }
        self.read(&mut replay, had, cancellation).await?;
        if replay.tail.is_outlived() && !cancellation.is_cancelled() { Ok(Caught::TooLate) } else { Ok(Caught::InTime) }
    }

    /// Reads the logs to their ends. What was read is written even after a cancellation, so that
    /// the next restore goes on there.
    async fn read(
        &self,
        replay: &mut ChangelogReader,
        had: PriorState,
        cancellation: &Cancellation,
    ) -> Result<(), RunError> {
        let mut remaining = replay.tail.remaining();
        self.progress.remaining.fetch_add(remaining, Ordering::Relaxed);
        while !replay.tail.is_done() && !cancellation.is_cancelled() {
            replay.step().await?;
            let left = replay.tail.remaining();
            self.progress.remaining.fetch_sub(remaining - left, Ordering::Relaxed);
            self.progress.restored.fetch_add(remaining - left, Ordering::Relaxed);
            if had == PriorState::Standby {
                self.progress.promoted.fetch_add(remaining - left, Ordering::Relaxed);
            }
            remaining = left;
            // Other restores run on this thread.
            tokio::task::yield_now().await;
        }
        self.progress.remaining.fetch_sub(remaining, Ordering::Relaxed);
        replay.tail.write()
    }

    /// Opens a shard's store.
    pub(crate) fn open(&self, id: ShardId) -> Result<Arc<dyn Store>, RunError> {
        let (name, layout) = self.store_of(id);
        self.stores.open(&name, layout)
    }

    fn store_of(&self, id: ShardId) -> (String, StoreLayout) {
        let group = &self.topology.groups[id.group];
        let layout = StoreLayout {
            tables: group.tables.iter().map(|table| table.to_string()).collect(),
            slots: group.tables.len() as u32,
        };
        (format!("{}-{}", group.name, id.partition), layout)
    }

    /// Looks up where the agents go on, and after that what there is to read. In this order the
    /// logs have all that was committed with the positions.
    async fn look(&self, id: ShardId, store: &dyn Store) -> Result<(ShardInputs, Vec<ChangelogRange>), RunError> {
        let inputs = self.inputs.of(id).await?;
        Ok((inputs, self.logs(id, store).await?))
    }

    /// Returns which changelogs to read, and from where to where.
    ///
    /// Empties the store if its position is not in its log any more, or not yet, because the store
    /// then holds the state of another log. Also empties it if it is so old that tombstones may be
    /// gone which it lacks.
    pub(crate) async fn logs(&self, id: ShardId, store: &dyn Store) -> Result<Vec<ChangelogRange>, RunError> {
        let (group, partition) = (&self.topology.groups[id.group], id.partition);
        let mut logs = Vec::new();
        let mut stale = false;
        let looked_at = self.clock.now();
        for (index, name) in group.tables.iter().enumerate() {
            let Some(table) = self.program.table(name) else { continue };
            let changelog = &table.identity().changelog;
            let earliest = self.offset(changelog, partition, End::Earliest).await?;
            let end = self.offset(changelog, partition, End::Latest).await?;
            let retention = self.lookups.tombstone_retention(changelog).await;
            let retention = retention.map_err(RunError::broker(format!("looking up the settings of {changelog}")))?;
            let slot = PositionSlot(index as u32);
            let SlicePosition { changelog: at, as_of, .. } = store.position(slot);
            let empty = at == Offset::ZERO && store.count(TableIndex(index as u16)).is_ok_and(|rows| rows == 0);
            if !empty && (at < earliest || at > end) {
                tracing::warn!(
                    table = %name, %partition, "the local state is at {at}, its changelog has {earliest} to {end}: rebuilding"
                );
                stale = true;
            } else if !empty && retention.is_over(as_of, looked_at) {
                tracing::warn!(
                    table = %name, %partition, "the local state is as of {as_of:?}, and its changelog keeps tombstones for {:?}, so \
                     it may have rows that were removed: rebuilding", retention.0
                );
                stale = true;
            }
            // An empty store has no row that was removed before now.
            let as_of = if empty { looked_at } else { as_of };
            let (index, from) = (TableIndex(index as u16), at.max(earliest));
            logs.push((
                ChangelogRange { table, index, slot, partition, from, end, looked_at, as_of, retention },
                earliest,
            ));
        }
        if stale {
            store.clear().map_err(RunError::store("emptying a store that is out of date"))?;
            logs.iter_mut().for_each(|(log, earliest)| (log.from, log.as_of) = (*earliest, looked_at));
        }
        Ok(logs.into_iter().map(|(log, _)| log).collect())
    }

    async fn offset(&self, topic: &Arc<str>, partition: Partition, end: End) -> Result<Offset, RunError> {
        let offset = self.lookups.offset(topic, partition, end).await;
        offset.map_err(RunError::broker(format!("looking up the offsets of {topic}[{partition}]")))
    }
}

/// Closes a store to which nothing is written any more.
pub(crate) fn close(store: &dyn Store) {
    if let Err(error) = store.close() {
        tracing::warn!("a store cannot be closed: {error}; if it is damaged, it is restored from its changelog");
    }
}
