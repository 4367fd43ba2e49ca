use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{Header, Isolation, NewRecord, Offset, OffsetSpec, Partition, SharedBroker, TopicPartition};
use marlowe_state::{
    LmdbOptions, LmdbStore, MemoryStore, PositionSlot, SlicePosition, Store, StoreError, StoreLayout, TableIndex,
};

use tokio::sync::Semaphore;

use super::RunError;
use super::replay::{LogPlan, Replay, Skip};
use crate::program::{Guarantee, Program};
use crate::shard::{InputPositions, InputStart, ShardId, ShardPlan, runs_ahead};
use crate::table::{INCLUDES_HEADER, Owner};
use crate::topology::{Group, Topology};

/// Where a worker's tables are kept between restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StateStore {
    /// In memory: a restart reads the whole changelog.
    Memory,
    /// In a folder, in LMDB: a restart reads the changelog's tail.
    Folder(PathBuf),
}

impl StateStore {
    /// Opens the store called `name`.
    pub(crate) fn open(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        Ok(match self {
            StateStore::Memory => Arc::new(MemoryStore::new(layout)),
            StateStore::Folder(folder) => {
                let store = LmdbStore::open(&folder.join(name), layout, LmdbOptions::default());
                Arc::new(store.map_err(RunError::store(format!("opening the state of {name}")))?)
            }
        })
    }
}

/// How much is left to restore, for those who watch.
#[derive(Debug, Default)]
pub(crate) struct RestoreProgress {
    pub(crate) remaining: AtomicU64,
    pub(crate) restored: AtomicU64,
}

/// What restores need.
pub(crate) struct Restorer {
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) broker: SharedBroker,
    pub(crate) stores: StateStore,
    pub(crate) progress: Arc<RestoreProgress>,
    /// Who restores at a time.
    pub(crate) turns: Semaphore,
}

impl Restorer {
    /// Makes a shard ready: its store holds what is committed, and its inputs' positions are known. `None` when it was
    /// cancelled meanwhile.
    pub(crate) async fn restore(
        &self,
        id: ShardId,
        owner: Owner,
        cancelled: &AtomicBool,
    ) -> Result<Option<ShardPlan>, RunError> {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        if cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let group = &self.topology.groups[id.group];
        let layout = StoreLayout {
            tables: group.tables.iter().map(|table| table.to_string()).collect(),
            slots: group.tables.len() as u32,
        };
        let store = self.open_store(&format!("{}-{}", group.name, id.partition), layout).await?;
        let inputs = self.inputs(group, id.partition).await?;
        let committed = |topic: &str, agent: &str| {
            let positions = InputPositions::parse(inputs.get(topic).and_then(|start| start.committed.as_ref()));
            positions.of(agent, Offset::ZERO)
        };
        let reader = self.broker.reader(Isolation::ReadCommitted).map_err(RunError::broker("restoring"))?;
        let skip: Option<Skip<'_>> = match self.program.guarantee {
            Guarantee::ExactlyOnce => None,
            Guarantee::AtLeastOnce => Some(Box::new(|includes| runs_ahead(includes, committed))),
        };
        let mut replay = Replay::new(&*store, reader, skip);
        for log in self.logs(group, id.partition, &*store).await? {
            replay.add(log)?;
        }
        let mut remaining = replay.remaining();
        self.progress.remaining.fetch_add(remaining, Ordering::Relaxed);
        while !replay.is_done() && !cancelled.load(Ordering::Relaxed) {
            replay.step().await?;
            let left = replay.remaining();
            self.progress.remaining.fetch_sub(remaining - left, Ordering::Relaxed);
            self.progress.restored.fetch_add(remaining - left, Ordering::Relaxed);
            remaining = left;
        }
        self.progress.remaining.fetch_sub(remaining, Ordering::Relaxed);
        // What was read is kept also when it was cancelled: the next time goes on there.
        replay.write()?;
        if cancelled.load(Ordering::Relaxed) {
            store.close().map_err(RunError::store("closing a store"))?;
            return Ok(None);
        }
        if self.program.guarantee == Guarantee::AtLeastOnce {
            self.repair(&replay, &*store, id.partition, &inputs).await?;
        }
        drop(replay);
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
        Ok(Some(ShardPlan { id, owner, store, inputs }))
    }

    /// Opens a store that this worker may have had open just before, and a reader of which may not be done with it yet.
    async fn open_store(&self, name: &str, layout: StoreLayout) -> Result<Arc<dyn Store>, RunError> {
        let mut tries = 100;
        loop {
            match self.stores.open(name, layout.clone()) {
                Err(RunError::Store { source, .. }) if tries > 0 && matches!(*source, StoreError::InUse { .. }) => {
                    tries -= 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
    }

    /// Which changelogs to read, from where to where. A store whose position is not in its log any more, or is not yet,
    /// holds the state of another log: it is emptied.
    async fn logs(&self, group: &Group, partition: Partition, store: &dyn Store) -> Result<Vec<LogPlan>, RunError> {
        let mut logs = Vec::new();
        let mut stale = false;
        for (index, name) in group.tables.iter().enumerate() {
            let Some(table) = self.program.table(name) else { continue };
            let changelog = &table.identity().changelog;
            let earliest = self.offset(changelog, partition, OffsetSpec::Earliest).await?;
            let end = self.offset(changelog, partition, OffsetSpec::Latest).await?;
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

    async fn inputs(&self, group: &Group, partition: Partition) -> Result<HashMap<Arc<str>, InputStart>, RunError> {
        let agents = &self.topology.graph.agents;
        let mut inputs = HashMap::new();
        for topic in agents.iter().filter(|agent| group.agents.contains(&agent.name)).map(|agent| &agent.reads) {
            if inputs.contains_key(topic) {
                continue;
            }
            let earliest = self.offset(topic, partition, OffsetSpec::Earliest).await?;
            let source = TopicPartition { topic: topic.clone(), partition };
            let committed = self
                .broker
                .committed(&self.program.app, std::slice::from_ref(&source))
                .await
                .map_err(RunError::broker(format!("looking up the position in {source}")))?;
            let mut committed = committed.into_iter().next().flatten();
            if let Some(position) = &mut committed
                && position.offset < earliest
            {
                tracing::warn!("{source}: retention removed records from {} to {earliest} unread", position.offset);
                position.offset = earliest;
            }
            inputs.insert(topic.clone(), InputStart { committed, earliest });
        }
        Ok(inputs)
    }

    async fn offset(&self, topic: &str, partition: Partition, spec: OffsetSpec) -> Result<Offset, RunError> {
        let offsets = self
            .broker
            .offsets(topic, &[partition], spec)
            .await
            .map_err(RunError::broker(format!("looking up the offsets of {topic}[{partition}]")))?;
        Ok(offsets.first().copied().unwrap_or(Offset::ZERO))
    }

    /// Writes the rows again whose changelog ran ahead of the committed input (at least once, after a crash): from here on
    /// the log says what the store says.
    async fn repair(
        &self,
        replay: &Replay<'_>,
        store: &dyn Store,
        partition: Partition,
        inputs: &HashMap<Arc<str>, InputStart>,
    ) -> Result<(), RunError> {
        let broker = || RunError::broker("repairing a changelog");
        let mut producer = self.broker.producer().map_err(broker())?;
        let includes: Vec<String> = inputs
            .iter()
            .filter_map(|(topic, start)| Some(format!("{topic}/={}", start.committed.as_ref()?.offset)))
            .collect();
        let includes = includes.join(";");
        let headers = [Header { name: INCLUDES_HEADER, value: includes.as_bytes() }];
        let mut repaired = Vec::new();
        for (table, index, keys) in replay.skipped() {
            let to = TopicPartition { topic: table.identity().changelog.clone(), partition };
            let destination = producer.destination(&to).map_err(broker())?;
            for key in keys {
                let (mut ordered, mut value) = (Vec::new(), Vec::new());
                table.ordered_key(key, &mut ordered).map_err(|error| RunError::Codec {
                    doing: format!("repairing the changelog of `{}`", table.name()),
                    reason: error.to_string(),
                })?;
                let found = store.get(index, &ordered, &mut value).map_err(RunError::store("repairing a changelog"))?;
                let record = NewRecord {
                    timestamp: marlowe_broker::Timestamp::default(),
                    key: Some(key),
                    value: found.then_some(value.as_slice()),
                    headers: &headers,
                };
                producer.send(destination, record).map_err(broker())?;
            }
            if !keys.is_empty() {
                repaired.push((PositionSlot(u32::from(index.0)), destination));
            }
        }
        let written = producer.flush().await.map_err(broker())?;
        let positions: Vec<_> = repaired
            .into_iter()
            .filter_map(|(slot, destination)| {
                Some((slot, SlicePosition { changelog: written.end(destination)?, ..store.position(slot) }))
            })
            .collect();
        store.apply(&mut [], &positions).map_err(RunError::store("repairing a changelog"))
    }
}
