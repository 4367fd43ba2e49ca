use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{Clock, Isolation, Offset, Partition, SharedBroker};
use marlowe_state::{MemoryStore, PositionSlot, SlicePosition, Store, StoreError, StoreLayout, TableIndex};

use tokio::sync::Semaphore;

use super::buffer::ChangelogRange;
use super::cancellation::Cancellation;
use super::changelog_reader::ChangelogReader;
use super::folder_owner::FolderOwner;
use super::inputs::InputLookup;
use super::lookups::{End, Lookups};
use crate::error::RunError;
use crate::host::Host;
use crate::metrics::{Metrics, PriorState};
use crate::program::Program;
use crate::query::Owner;
use crate::shard::{ShardId, ShardInputs, ShardPlan};
use crate::topology::Topology;
use crate::turn::Caution;

/// Where a worker's tables are kept between restarts.
#[derive(Clone)]
pub(crate) enum StateStore {
    /// In memory: a restart reads the whole changelog.
    Memory,
    /// In a folder, in LMDB: a restart reads the changelog's tail.
    Folder { path: PathBuf, owner: FolderOwner, host: Arc<dyn Host> },
}

impl StateStore {
    /// Opens the store called `name`.
    pub(crate) fn open(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        Ok(match self {
            StateStore::Memory => Arc::new(MemoryStore::new(layout)),
            StateStore::Folder { path, owner, host } => {
                let store = host.open_store(&path.join(name), layout, owner.of_store(name));
                store.map_err(RunError::store(format!("opening the state of {name}")))?
            }
        })
    }

    /// The same of a store that was open just before, and a reader of which may not be done with it yet.
    pub(crate) async fn open_in_time(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        let mut tries = 100;
        loop {
            match self.open(name, layout.clone()) {
                Err(RunError::Store { source, .. }) if tries > 0 && matches!(*source, StoreError::InUse { .. }) => {
                    tries -= 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
    }
}

/// How much is left to restore, for those who watch.
#[derive(Debug, Default)]
pub(crate) struct RestoreProgress {
    pub(crate) remaining: AtomicU64,
    pub(crate) restored: AtomicU64,
    /// Of those that were restored: by shards that a standby was here for.
    pub(crate) promoted: AtomicU64,
    /// Read by standbys.
    pub(crate) followed: AtomicU64,
}

/// What a restore begins with.
pub(crate) enum StartingPoint {
    /// What is in the worker's folder, if anything.
    Kept,
    /// A store that was open here.
    Open(Arc<dyn Store>),
    /// The store of a standby.
    Standby(Arc<dyn Store>),
}

/// How a restore ended.
pub(crate) enum Restored {
    /// It is ready to be opened in a lane.
    Ready(Box<ShardPlan>, PriorState),
    /// It was cancelled. The store has what was read.
    Cancelled(Option<Arc<dyn Store>>),
}

/// Whether a store came to the ends of its logs before tombstones could go that it had not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    InTime,
    TooLate,
}

/// How many times a store is rebuilt that did not.
const REBUILDS: u32 = 5;

/// Who restores at a time. Those who have much to read wait for each other only: who has little is at work soon, and who has
/// nothing at once.
pub(crate) struct RestorePermits {
    looking: Semaphore,
    short: Semaphore,
    long: Semaphore,
}

impl RestorePermits {
    /// So many records are read within the blink of an eye.
    const MUCH: u64 = 10_000;

    /// So many look at a time what there is to read. What they ask the broker goes out together.
    const LOOKING: usize = 256;

    /// So many read at a time, of each kind.
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self {
            looking: Semaphore::new(Self::LOOKING),
            short: Semaphore::new(at_a_time),
            long: Semaphore::new(at_a_time),
        }
    }

    /// The turns of those who have so many records to read.
    fn of(&self, records: u64) -> &Semaphore {
        if records > Self::MUCH { &self.long } else { &self.short }
    }
}

/// What restores need.
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
    /// Makes a shard ready: its store holds what is committed, and its inputs' positions are known.
    pub(crate) async fn restore(
        &self,
        id: ShardId,
        owner: Owner,
        cancellation: &Cancellation,
        basis: StartingPoint,
    ) -> Result<Restored, RunError> {
        // None is ever closed.
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
        // Most shards of an app that begins, or comes back to its folder, have nothing to read: they need no reader.
        let is_there = |log: &ChangelogRange| log.from == log.end && store.position(log.slot).changelog == log.end;
        let is_ready = logs.iter().all(is_there);
        // Then the logs have nothing that the store lacks.
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
                // What was looked at may have changed while it waited.
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
                // The store's age says that it is to be emptied.
                (inputs, logs) = self.look(id, &*store).await?;
            }
            drop(turn);
        }
        if cancellation.is_cancelled() {
            return Ok(Restored::Cancelled(Some(store)));
        }
        inputs.expired.iter().for_each(|expired| expired.pass_over(&self.metrics));
        let positions: Vec<_> = group
            .tables
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let slot = PositionSlot(index as u32);
                let inbox = self
                    .program
                    .table(name)
                    .map_or(Offset::ZERO, |table| inputs.at(&table.identity().inbox, &format!("{name}-inbox")));
                let position = store.position(slot);
                (slot, SlicePosition { inbox, as_of: ready_as_of.unwrap_or(position.as_of), ..position })
            })
            .collect();
        store.apply(&mut [], &positions).map_err(RunError::store("restoring a store"))?;
        tracing::debug!(
            group = %group.name, partition = %id.partition, opening = owner.opening, generation = owner.generation,
            "restored, and goes on at {:?}", inputs.starts.iter().map(|(topic, start)| (topic, &start.agents)).collect::<Vec<_>>()
        );
        Ok(Restored::Ready(Box::new(ShardPlan { id, owner, store, inputs, caution: Caution::default() }), had))
    }

    /// Reads what the store has not yet.
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

    /// Reads the logs to their ends. What was read is kept also when it was cancelled: the next time goes on there.
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
            // Others restore on this thread.
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

    /// Where the inputs are, and then what there is to read: what is committed of the inputs is in the logs by then.
    async fn look(&self, id: ShardId, store: &dyn Store) -> Result<(ShardInputs, Vec<ChangelogRange>), RunError> {
        let inputs = self.inputs.of(id).await?;
        Ok((inputs, self.logs(id, store).await?))
    }

    /// Which changelogs to read, from where to where. A store whose position is not in its log any more, or is not yet,
    /// holds the state of another log: it is emptied. So is one that is so old that tombstones which it lacks may be gone.
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
                     rows may have been removed that it does not know of: rebuilding", retention.0
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

/// Closes a store that nothing is written to any more.
pub(crate) fn close(store: &dyn Store) {
    if let Err(error) = store.close() {
        tracing::warn!("closing a store: {error}; it is restored from its changelog if it has to be");
    }
}
