//! A worker's copies of global tables, which follow all partitions of the tables' changelogs.
//!
//! A copy is used while it follows its changelog. If it stands still for longer than the changelog
//! keeps tombstones, it may keep rows that were removed. It is then rebuilt aside, in memory, and
//! brought to the new state in one batch. So readers see the copy before or after, and never empty.
//! At the start, when nothing reads the copy yet, it is emptied and read again instead.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Clock, Isolation, Offset, OffsetSpec, Partition, SharedBroker, Source};
use marlowe_state::{KeyRange, MemoryStore, PositionSlot, Rows, SlicePosition, Store, StoreLayout};
use tokio::time::Instant;

use super::shared::Shared;
use crate::backoff::Backoff;
use crate::config::TombstoneRetention;
use crate::error::RunError;
use crate::query::GlobalStore;
use crate::restore::{ChangelogRange, ChangelogReader, Lookups, StateStore, close};
use crate::table::AnyTable;
use crate::watch;

/// The longest time between two lookups of the logs' ends, which show how old the copy is.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long to wait before the next try when the broker did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How many rows are compared at a time after a copy was rebuilt.
const PAGE: usize = 10_000;

/// A worker's copy of a global table, which follows the table's changelog.
pub(crate) struct GlobalFollower {
    table: &'static dyn AnyTable,
    store: Arc<dyn Store>,
    partitions: Vec<Partition>,
    broker: SharedBroker,
    lookups: Arc<Lookups>,
    clock: Arc<dyn Clock>,
    moved: watch::Sender<()>,
    has_read_twice: bool,
}

/// The changelog as it is being read.
struct Reading {
    replay: ChangelogReader,
    sources: Vec<Source>,
    retention: TombstoneRetention,
}

impl GlobalFollower {
    /// Opens the copy, with the rows that it had the last time.
    pub(crate) async fn open(
        table: &'static dyn AnyTable,
        shared: &Shared,
        lookups: Arc<Lookups>,
        stores: &StateStore,
    ) -> Result<Self, RunError> {
        let name = table.name();
        let partitions = shared.topology.partitions.get(&table.identity().changelog).copied().unwrap_or(1);
        let layout = StoreLayout { tables: vec![name.to_string()], slots: partitions };
        let store = stores.open_in_time(&format!("{name}-global"), layout).await?;
        Ok(Self {
            table,
            store,
            partitions: Partition::all(partitions).collect(),
            broker: shared.broker.clone(),
            lookups,
            clock: shared.clock.clone(),
            moved: watch::Sender::new(()),
            has_read_twice: false,
        })
    }

    /// Returns the copy, for readers.
    pub(crate) fn copy(&self) -> GlobalStore {
        let partitions = self.partitions.len() as u32;
        GlobalStore { store: self.store.clone(), partitions, moved: self.moved.subscribe() }
    }

    /// Follows the changelog. Sets `ready` once the copy has reached the end that the log had at
    /// the start.
    pub(crate) async fn follow(mut self, ready: watch::Sender<bool>) -> Result<(), RunError> {
        let mut reading = self.begin(&self.store).await?;
        loop {
            self.follow_while_current(reading, &ready).await?;
            tracing::warn!(
                table = %self.table.name(),
                "the local copy was not updated for longer than its changelog keeps tombstones: rebuilding"
            );
            let mut backoff = Backoff::every(TRY_AGAIN);
            reading = loop {
                match self.rebuild().await {
                    // The copy is in use, and the broker may come back.
                    Err(RunError::Broker { doing, source }) => {
                        tracing::warn!(
                            table = %self.table.name(),
                            "the local copy cannot be rebuilt; trying again: {doing}: {source}"
                        );
                        backoff.wait().await;
                    }
                    rebuilt => break rebuilt?,
                }
            };
        }
    }

    /// Follows the changelog for as long as the copy can learn of all rows that were removed.
    async fn follow_while_current(&mut self, reading: Reading, ready: &watch::Sender<bool>) -> Result<(), RunError> {
        let Reading { mut replay, sources, retention } = reading;
        let look_every = retention.note_every().min(LOOK_EVERY);
        while !replay.tail.is_done() {
            replay.step().await?;
        }
        replay.tail.write()?;
        self.moved.send_replace(());
        // Reading may have taken longer than tombstones are kept. Then the copy is read once more
        // before its first use.
        if replay.tail.is_outlived() && !std::mem::replace(&mut self.has_read_twice, true) {
            return Ok(());
        }
        ready.send_replace(true);
        let mut look_at = Instant::now() + look_every;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(look_at) => {
                    if replay.tail.is_outlived() {
                        return Ok(());
                    }
                    let looked_at = self.clock.now();
                    match self.offsets(OffsetSpec::Latest).await {
                        Ok(ends) => sources.iter().zip(ends).for_each(|(source, end)| {
                            replay.tail.look_to(*source, end, looked_at);
                        }),
                        Err(error) => tracing::warn!("cannot look up how old the local copy is; trying again: {error}"),
                    }
                    look_at = Instant::now() + look_every;
                    if !replay.tail.is_unwritten() {
                        continue;
                    }
                }
                read = replay.step() => read?,
            }
            // The worker may have stood still in the middle, while the broker was asked.
            if replay.tail.is_outlived() {
                return Ok(());
            }
            replay.tail.write()?;
            self.moved.send_replace(());
        }
    }

    /// Begins to read the changelog into `store`, which is the copy or what will replace it.
    /// Empties the store first if it does not fit the log, or is so old that tombstones may be gone
    /// which it lacks.
    async fn begin(&self, store: &Arc<dyn Store>) -> Result<Reading, RunError> {
        let changelog = &self.table.identity().changelog;
        let looked_at = self.clock.now();
        let earliest = self.offsets(OffsetSpec::Earliest).await?;
        let latest = self.offsets(OffsetSpec::Latest).await?;
        let retention = self.lookups.tombstone_retention(changelog).await;
        let retention = retention.map_err(RunError::broker(format!("looking up the settings of {changelog}")))?;
        let position = |partition: &Partition| store.position(PositionSlot(partition.get()));
        let stale = self.partitions.iter().zip(earliest.iter().zip(&latest)).any(|(partition, (earliest, latest))| {
            let SlicePosition { changelog: at, as_of, .. } = position(partition);
            // A partition of which nothing was read has no row that was removed before now.
            at > Offset::ZERO && (at > *latest || at < *earliest || retention.is_over(as_of, looked_at))
        });
        if stale {
            let name = self.table.name();
            tracing::warn!(table = %name, "the local copy does not fit the changelog, or is too old for it: rebuilding");
            store.clear().map_err(RunError::store("emptying a copy that is out of date"))?;
        }
        let reader = self.broker.reader(Isolation::ReadCommitted);
        let reader = reader.map_err(RunError::broker("following a global table"))?;
        let mut replay = ChangelogReader::new(store.clone(), reader, self.clock.clone());
        let mut sources = Vec::new();
        for (partition, (earliest, end)) in self.partitions.iter().zip(earliest.into_iter().zip(latest)) {
            let SlicePosition { changelog: at, as_of, .. } = position(partition);
            let as_of = if at == Offset::ZERO { looked_at } else { as_of };
            sources.push(replay.add(ChangelogRange {
                table: self.table,
                index: GlobalStore::TABLE,
                slot: PositionSlot(partition.get()),
                partition: *partition,
                from: at.max(earliest),
                end,
                looked_at,
                as_of,
                retention,
            })?);
        }
        Ok(Reading { replay, sources, retention })
    }

    /// Reads the whole changelog again, aside, and brings the copy to that state in one step. So
    /// its readers see it before or after. Returns where to read on.
    async fn rebuild(&self) -> Result<Reading, RunError> {
        let failed = || RunError::store("rebuilding a copy that is out of date");
        let fresh: Arc<dyn Store> = Arc::new(MemoryStore::new(self.store.layout().clone()));
        let Reading { mut replay, .. } = self.begin(&fresh).await?;
        while !replay.tail.is_done() {
            replay.step().await?;
        }
        replay.tail.write()?;
        let mut rows = Rows::new();
        let mut found = Vec::new();
        each_row(&*self.store, |key, _| {
            if !fresh.get(GlobalStore::TABLE, key, &mut found).map_err(failed())? {
                rows.push(key, None);
            }
            Ok(())
        })?;
        each_row(&*fresh, |key, value| {
            rows.push(key, value);
            Ok(())
        })?;
        let slots = self.partitions.iter().map(|partition| PositionSlot(partition.get()));
        let positions: Vec<_> = slots.map(|slot| (slot, fresh.position(slot))).collect();
        self.store.apply(&mut [(GlobalStore::TABLE, rows)], &positions).map_err(failed())?;
        self.moved.send_replace(());
        self.begin(&self.store).await
    }

    async fn offsets(&self, spec: OffsetSpec) -> Result<Vec<Offset>, RunError> {
        let changelog = &self.table.identity().changelog;
        let offsets = self.broker.offsets(changelog, &self.partitions, spec).await;
        offsets.map_err(RunError::broker(format!("looking up the offsets of {changelog}")))
    }
}

/// Passes each row of a copy to `show`.
fn each_row(
    store: &dyn Store,
    mut show: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let mut range = KeyRange::all();
    loop {
        let page = store.scan(GlobalStore::TABLE, &range, PAGE, PositionSlot(0));
        let page = page.map_err(RunError::store("rebuilding a copy that is out of date"))?;
        page.rows.iter().try_for_each(|(key, value)| show(key, value))?;
        match page.rows.iter().next_back() {
            Some((last, _)) if page.more => range.start = Bound::Excluded(last.to_vec()),
            _ => return Ok(()),
        }
    }
}

impl Drop for GlobalFollower {
    fn drop(&mut self) {
        close(&*self.store);
    }
}
