use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{Isolation, Offset, Partition, SharedBroker, TopicPartition};
use marlowe_state::{MemoryStore, PositionSlot, SlicePosition, Store, StoreError, StoreLayout, TableIndex};

use tokio::sync::Semaphore;

use super::RunError;
use super::cancellation::Cancellation;
use super::epoch::{Opening, Taker};
use super::epochs::Epochs;
use super::lookups::{End, Lookups};
use super::replay::Replay;
use super::tail::LogPlan;
use super::take_over::beginnings;
use crate::program::{Guarantee, Program};
use crate::shard::{CommittedInputs, InputPositions, InputStart, ShardId, ShardPlan};
use crate::surroundings::Surroundings;
use crate::table::Owner;
use crate::topology::Topology;

/// Where a worker's tables are kept between restarts.
#[derive(Clone)]
pub(crate) enum StateStore {
    /// In memory: a restart reads the whole changelog.
    Memory,
    /// In a folder, in LMDB: a restart reads the changelog's tail.
    Folder(PathBuf, Surroundings),
}

impl StateStore {
    /// Opens the store called `name`.
    pub(crate) fn open(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        Ok(match self {
            StateStore::Memory => Arc::new(MemoryStore::new(layout)),
            StateStore::Folder(folder, surroundings) => {
                let store = surroundings.open_store(&folder.join(name), layout);
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
pub(crate) enum Basis {
    /// What is in the worker's folder, if anything.
    Kept,
    /// A store that was open here.
    Open(Arc<dyn Store>),
    /// The store of a standby.
    Standby(Arc<dyn Store>),
}

/// What a worker had of a shard that it restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Had {
    /// A standby, that followed its changelogs.
    Standby,
    /// A store, from an earlier time.
    Store,
    Nothing,
}

/// The positions of a shard's inputs, by topic.
type Inputs = BTreeMap<Arc<str>, InputStart>;

/// How a restore ended.
pub(crate) enum Restored {
    /// It is ready to be opened in a lane.
    Ready(Box<ShardPlan>, Had),
    /// It was cancelled. The store has what was read.
    Cancelled(Option<Arc<dyn Store>>),
}

/// How soon it is looked again whether it was told that a shard is another's.
const LOST_SOON: Duration = Duration::from_millis(100);

/// Who restores at a time. Those who have much to read wait for each other only: who has little is at work soon, and who has
/// nothing at once.
pub(crate) struct RestoreTurns {
    looking: Semaphore,
    short: Semaphore,
    long: Semaphore,
}

impl RestoreTurns {
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
    pub(crate) lookups: Lookups,
    pub(crate) epochs: Epochs,
    pub(crate) stores: StateStore,
    pub(crate) progress: Arc<RestoreProgress>,
    pub(crate) turns: RestoreTurns,
}

impl Restorer {
    /// Makes a shard ready: its store holds what is committed, and its inputs' positions are known.
    pub(crate) async fn restore(
        &self,
        id: ShardId,
        owner: Owner,
        taker: &Taker,
        cancellation: &Cancellation,
        basis: Basis,
    ) -> Result<Restored, RunError> {
        // None is ever closed.
        let looking = self.turns.looking.acquire().await;
        if cancellation.is_cancelled() {
            return Ok(Restored::Cancelled(match basis {
                Basis::Kept => None,
                Basis::Open(store) | Basis::Standby(store) => Some(store),
            }));
        }
        let group = &self.topology.groups[id.group];
        let (store, had) = match basis {
            Basis::Standby(store) => (store, Some(Had::Standby)),
            Basis::Open(store) => (store, None),
            Basis::Kept => {
                let (name, layout) = self.store_of(id);
                (self.stores.open_in_time(&name, layout).await?, None)
            }
        };
        let had = had.unwrap_or_else(|| {
            let slots = (0..group.tables.len() as u32).map(PositionSlot);
            let is_new = slots.map(|slot| store.position(slot).changelog).all(|at| at == Offset::ZERO);
            if is_new { Had::Nothing } else { Had::Store }
        });
        let (mut inputs, mut logs) = self.look(id, &*store).await?;
        // Most shards of an app that begins, or comes back to its folder, have nothing to read: they need no reader.
        let is_there = |log: &LogPlan| log.from == log.end && store.position(log.slot).changelog == log.end;
        let is_ready = logs.iter().all(is_there)
            && match self.program.guarantee {
                Guarantee::ExactlyOnce => true,
                Guarantee::AtLeastOnce => {
                    let opening = Opening { id, taker, store: &*store, cancellation };
                    self.begin_where_all_is_read(&opening, &logs).await?
                }
            };
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
            self.catch_up(id, (&store, had), taker, (&inputs, logs), cancellation).await?;
            drop(turn);
        }
        if cancellation.is_cancelled() {
            return Ok(Restored::Cancelled(Some(store)));
        }
        let committed = |topic: &str, agent: &str| {
            let positions = InputPositions::parse(inputs.get(topic).and_then(|start| start.committed.as_ref()));
            positions.of(agent, Offset::ZERO)
        };
        let positions: Vec<_> = group
            .tables
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let slot = PositionSlot(index as u32);
                let inbox = self
                    .program
                    .table(name)
                    .map_or(Offset::ZERO, |table| committed(&table.identity().inbox, &format!("{name}-inbox")));
                (slot, SlicePosition { inbox, ..store.position(slot) })
            })
            .collect();
        store.apply(&mut [], &positions).map_err(RunError::store("restoring a store"))?;
        let at = |start: &InputStart| start.committed.as_ref().map(|position| position.offset);
        tracing::debug!(
            group = %group.name, partition = %id.partition, opening = owner.opening, generation = owner.generation,
            "restored, and goes on at {:?}", inputs.iter().map(|(topic, start)| (topic, at(start))).collect::<Vec<_>>()
        );
        Ok(Restored::Ready(Box::new(ShardPlan { id, owner, store, inputs }), had))
    }

    /// Reads what the store has not yet, and at least once begins an epoch.
    async fn catch_up(
        &self,
        id: ShardId,
        (store, had): (&Arc<dyn Store>, Had),
        taker: &Taker,
        (inputs, logs): (&Inputs, Vec<LogPlan>),
        cancellation: &Cancellation,
    ) -> Result<(), RunError> {
        let reader = self.broker.reader(Isolation::ReadCommitted).map_err(RunError::broker("restoring"))?;
        let committed_inputs = match self.program.guarantee {
            Guarantee::ExactlyOnce => None,
            Guarantee::AtLeastOnce => Some(self.committed_inputs(id, inputs)),
        };
        let mut replay = Replay::new(store.clone(), reader, self.program.guarantee, committed_inputs);
        for log in logs {
            replay.add(log)?;
        }
        self.read(&mut replay, had, cancellation).await?;
        if self.program.guarantee == Guarantee::AtLeastOnce
            && let Some(_writing) = cancellation.writing().await
        {
            let opening = Opening { id, taker, store: &**store, cancellation };
            if let Some(epoch) = self.begin_epoch(&opening, replay.tail.epoch()).await? {
                // Until the log, up to this owner's own records, says what the store says.
                let mut is_new = true;
                while replay.tail.epoch() <= epoch && !cancellation.is_cancelled() {
                    let passed_over = replay.tail.take_skipped();
                    if !is_new && passed_over.iter().all(|(.., keys)| keys.is_empty()) {
                        replay.tail.release();
                        replay.tail.write()?;
                        break;
                    }
                    for (table, end) in self.write_again(&opening, epoch, passed_over).await? {
                        replay.tail.read_to(table, end);
                    }
                    is_new = false;
                    self.read(&mut replay, had, cancellation).await?;
                }
                // Another has the shard by now, and it is about to be told.
                while replay.tail.epoch() > epoch && !cancellation.is_cancelled() {
                    tokio::time::sleep(LOST_SOON).await;
                }
            }
        }
        Ok(())
    }

    /// Reads the logs to their ends. What was read is kept also when it was cancelled: the next time goes on there.
    async fn read(&self, replay: &mut Replay, had: Had, cancellation: &Cancellation) -> Result<(), RunError> {
        let mut remaining = replay.tail.remaining();
        self.progress.remaining.fetch_add(remaining, Ordering::Relaxed);
        while !replay.tail.is_done() && !cancellation.is_cancelled() {
            replay.step().await?;
            let left = replay.tail.remaining();
            self.progress.remaining.fetch_sub(remaining - left, Ordering::Relaxed);
            self.progress.restored.fetch_add(remaining - left, Ordering::Relaxed);
            if had == Had::Standby {
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
    async fn look(&self, id: ShardId, store: &dyn Store) -> Result<(Inputs, Vec<LogPlan>), RunError> {
        let inputs = self.inputs(id).await?;
        Ok((inputs, self.logs(id, store).await?))
    }

    /// Which changelogs to read, from where to where. A store whose position is not in its log any more, or is not yet,
    /// holds the state of another log: it is emptied.
    pub(crate) async fn logs(&self, id: ShardId, store: &dyn Store) -> Result<Vec<LogPlan>, RunError> {
        let (group, partition) = (&self.topology.groups[id.group], id.partition);
        let mut logs = Vec::new();
        let mut stale = false;
        for (index, name) in group.tables.iter().enumerate() {
            let Some(table) = self.program.table(name) else { continue };
            let changelog = &table.identity().changelog;
            let earliest = self.offset(changelog, partition, End::Earliest).await?;
            let end = self.offset(changelog, partition, End::Latest).await?;
            let slot = PositionSlot(index as u32);
            let at = store.position(slot).changelog;
            let empty = at == Offset::ZERO && store.count(TableIndex(index as u16)).is_ok_and(|rows| rows == 0);
            if !empty && (at < earliest || at > end) {
                tracing::warn!(
                    table = %name, %partition, "the local state is at {at}, its changelog has {earliest} to {end}: rebuilding"
                );
                stale = true;
            }
            let from = at.max(earliest);
            logs.push((LogPlan { table, index: TableIndex(index as u16), slot, partition, from, end }, earliest));
        }
        if stale {
            store.clear().map_err(RunError::store("emptying a store that is out of date"))?;
            logs.iter_mut().for_each(|(log, earliest)| log.from = *earliest);
        }
        Ok(logs.into_iter().map(|(log, _)| log).collect())
    }

    /// The committed positions of a shard's inputs, and where they start.
    pub(crate) async fn inputs(&self, id: ShardId) -> Result<Inputs, RunError> {
        let (group, partition) = (&self.topology.groups[id.group], id.partition);
        let agents = &self.topology.graph.agents;
        let mut inputs = BTreeMap::new();
        for topic in agents.iter().filter(|agent| group.agents.contains(&agent.name)).map(|agent| &agent.reads) {
            if inputs.contains_key(topic) {
                continue;
            }
            let mut earliest = self.offset(topic, partition, End::Earliest).await?;
            let source = TopicPartition { topic: topic.clone(), partition };
            let committed = self.lookups.committed(source.clone()).await;
            let mut committed = committed.map_err(RunError::broker(format!("looking up the position in {source}")))?;
            if let Some(position) = &mut committed
                && position.offset < earliest
            {
                tracing::warn!("{source}: retention removed records from {} to {earliest} unread", position.offset);
                position.offset = earliest;
            }
            if let (None, Some(faust)) = (&committed, self.program.takes_over()) {
                let begin = beginnings(Some(&faust), &*self.broker, topic, &[partition]).await?;
                earliest = begin.first().copied().unwrap_or(earliest);
            }
            inputs.insert(topic.clone(), InputStart { committed, earliest });
        }
        Ok(inputs)
    }

    /// The same, to compare the stamps of changelog records with.
    pub(crate) fn committed_inputs(&self, id: ShardId, inputs: &Inputs) -> CommittedInputs {
        let group = &self.topology.groups[id.group];
        let agents = self.topology.graph.agents.iter().filter(|agent| group.agents.contains(&agent.name));
        CommittedInputs::of(agents.map(|agent| (&*agent.reads, &*agent.name)), inputs)
    }

    async fn offset(&self, topic: &Arc<str>, partition: Partition, end: End) -> Result<Offset, RunError> {
        let offset = self.lookups.offset(topic, partition, end).await;
        offset.map_err(RunError::broker(format!("looking up the offsets of {topic}[{partition}]")))
    }
}
