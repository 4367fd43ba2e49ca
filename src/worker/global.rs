use std::sync::Arc;

use marlowe_broker::{Isolation, Offset, OffsetSpec, Partition, SharedBroker};
use marlowe_state::{PositionSlot, Store, StoreLayout};

use super::RunError;
use super::replay::Replay;
use super::restore::StateStore;
use super::tail::LogPlan;
use crate::program::Guarantee;
use crate::table::{AnyTable, GlobalStore};
use crate::topology::Topology;
use crate::watch;

/// A worker's copy of a global table, that follows the table's changelog.
pub(crate) struct GlobalFollower {
    table: &'static dyn AnyTable,
    store: Arc<dyn Store>,
    partitions: u32,
    guarantee: Guarantee,
    moved: watch::Sender<()>,
}

impl GlobalFollower {
    /// Opens the copy; it has what it had the last time.
    pub(crate) async fn open(
        table: &'static dyn AnyTable,
        topology: &Topology,
        guarantee: Guarantee,
        stores: &StateStore,
    ) -> Result<Self, RunError> {
        let name = table.name();
        let partitions = topology.partitions.get(&table.identity().changelog).copied().unwrap_or(1);
        let layout = StoreLayout { tables: vec![name.to_string()], slots: partitions };
        let store = stores.open_in_time(&format!("{name}-global"), layout).await?;
        Ok(Self { table, store, partitions, guarantee, moved: watch::Sender::new(()) })
    }

    /// The copy, for readers.
    pub(crate) fn copy(&self) -> GlobalStore {
        GlobalStore { store: self.store.clone(), partitions: self.partitions, moved: self.moved.subscribe() }
    }

    /// Follows the changelog; `ready` once the copy has reached the end that the log had at the start.
    pub(crate) async fn follow(self, broker: SharedBroker, ready: watch::Sender<bool>) -> Result<(), RunError> {
        let changelog = &self.table.identity().changelog;
        let all: Vec<Partition> = Partition::all(self.partitions).collect();
        let offsets = async |spec| {
            let doing = format!("looking up the offsets of {changelog}");
            broker.offsets(changelog, &all, spec).await.map_err(RunError::broker(doing))
        };
        let earliest = offsets(OffsetSpec::Earliest).await?;
        let latest = offsets(OffsetSpec::Latest).await?;
        let at = |partition: &Partition| self.store.position(PositionSlot(partition.get())).changelog;
        let stale = all.iter().zip(earliest.iter().zip(&latest)).any(|(partition, (earliest, latest))| {
            let at = at(partition);
            at > *latest || (at < *earliest && at > Offset::ZERO)
        });
        if stale {
            tracing::warn!(table = %self.table.name(), "the local copy does not fit the changelog: rebuilding");
            self.store.clear().map_err(RunError::store("emptying a copy that is out of date"))?;
        }
        let reader = broker.reader(Isolation::ReadCommitted).map_err(RunError::broker("following a global table"))?;
        // Records that ran ahead (at least once) are followed too: their owner writes what is right after them.
        let mut replay = Replay::new(self.store.clone(), reader, self.guarantee, None);
        for (partition, (earliest, end)) in all.iter().zip(earliest.into_iter().zip(latest)) {
            replay.add(LogPlan {
                table: self.table,
                index: GlobalStore::TABLE,
                slot: PositionSlot(partition.get()),
                partition: *partition,
                from: at(partition).max(earliest),
                end,
            })?;
        }
        while !replay.tail.is_done() {
            replay.step().await?;
        }
        replay.tail.write()?;
        self.moved.send_replace(());
        ready.send_replace(true);
        loop {
            replay.step().await?;
            replay.tail.write()?;
            self.moved.send_replace(());
        }
    }
}

impl Drop for GlobalFollower {
    fn drop(&mut self) {
        if let Err(error) = self.store.close() {
            tracing::warn!("closing a copy: {error}; it is restored from its changelog if it has to be");
        }
    }
}
