//! One shard that a standby follows: its store, how far the changelogs were read, and how fresh it
//! is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe_broker::{Clock, Offset, Source, Timestamp, TopicPartition};
use marlowe_state::{PositionSlot, Store, TableIndex};
use tokio::time::Instant;

use crate::error::RunError;
use crate::query::{CommittedSlice, Freshness};
use crate::restore::{ChangelogRange, RestoreBuffer};
use crate::watch;

/// A shard that is followed into a store.
pub(crate) struct Follower {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tail: RestoreBuffer,
    pub(crate) logs: BTreeMap<Source, TopicPartition>,
    tables: Vec<(Arc<str>, TableIndex, PositionSlot)>,
    pub(crate) freshness: Freshness,
    pub(crate) lag: Arc<AtomicU64>,
    /// Where the logs ended at a moment. When the store is as far, it is as fresh as that moment.
    goal: Option<(Instant, Vec<(Source, Offset)>)>,
    moved: watch::Sender<()>,
}

impl Follower {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            tail: RestoreBuffer::new(store.clone(), clock),
            store,
            logs: BTreeMap::new(),
            tables: Vec::new(),
            freshness: Freshness::default(),
            lag: Arc::default(),
            goal: None,
            moved: watch::Sender::new(()),
        }
    }

    /// Follows a log whose records come from `source`.
    pub(crate) fn add(&mut self, source: Source, partition: TopicPartition, log: ChangelogRange) {
        self.logs.insert(source, partition);
        self.tables.push((log.table.name().clone(), log.index, log.slot));
        self.tail.add(source, log);
    }

    /// Returns the slices of the shard, by table.
    pub(crate) fn slices(&self) -> Vec<(Arc<str>, CommittedSlice)> {
        let slice = |(name, table, slot): &(Arc<str>, TableIndex, PositionSlot)| {
            let slice =
                CommittedSlice { store: self.store.clone(), table: *table, slot: *slot, moved: self.moved.subscribe() };
            (name.clone(), slice)
        };
        self.tables.iter().map(slice).collect()
    }

    /// Notes where the logs ended at a moment, which is given by both clocks. The worker may have
    /// stood still since it asked. If tombstones may be gone by now, the follower stays as stale as
    /// it is until it is rebuilt.
    pub(crate) fn look_to(&mut self, looked_at: Instant, clock: Timestamp, ends: Vec<(Source, Offset)>) {
        if self.tail.is_outlived() {
            return;
        }
        ends.iter().for_each(|(source, end)| self.tail.look_to(*source, *end, clock));
        let lag = |(source, end): &(Source, Offset)| self.tail.position(*source).distance_to(*end);
        self.lag.store(ends.iter().map(lag).sum(), Ordering::Relaxed);
        if self.goal.is_none() {
            self.goal = Some((looked_at, ends));
        }
        self.see_whether_reached();
    }

    /// Writes what was read.
    pub(crate) fn write(&mut self) -> Result<(), RunError> {
        if self.tail.is_unwritten() {
            self.tail.write()?;
            self.moved.send_replace(());
            self.see_whether_reached();
        }
        Ok(())
    }

    fn see_whether_reached(&mut self) {
        if let Some((looked_at, ends)) = &self.goal
            && !self.tail.is_unwritten()
            && ends.iter().all(|(source, end)| self.tail.position(*source) >= *end)
        {
            self.freshness.is_as_of(*looked_at);
            self.goal = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use marlowe_broker::Partition;
    use marlowe_state::{MemoryStore, StoreLayout};

    use super::*;
    use crate::codec::Json;
    use crate::config::TombstoneRetention;
    use crate::table::TableDeclaration;
    use crate::test_clock::SetClock;
    use crate::topology::TableKind;

    #[tokio::test]
    async fn n4_1_a_standby_that_stood_still_is_not_called_current() {
        let clock = Arc::new(SetClock::new(Timestamp::from_millis(1_000_000)));
        let layout = StoreLayout { tables: vec!["table".to_owned()], slots: 1 };
        let mut follower = Follower::new(Arc::new(MemoryStore::new(layout)), clock.clone());
        let table = TableDeclaration::<String, u64>::new("app", "table", TableKind::Table, Json);
        let range = ChangelogRange {
            table: Box::leak(Box::new(table)),
            index: TableIndex(0),
            slot: PositionSlot(0),
            partition: Partition::new(0),
            from: Offset::ZERO,
            end: Offset::ZERO,
            looked_at: clock.now(),
            as_of: clock.now(),
            retention: TombstoneRetention(Duration::from_secs(4)),
        };
        follower.add(Source(0), TopicPartition::new("changelog", Partition::new(0)), range);
        let (asked_at, told_at) = (Instant::now(), clock.now());
        clock.set(Timestamp::from_millis(1_010_000));
        follower.look_to(asked_at, told_at, vec![(Source(0), Offset::ZERO)]);
        assert_eq!(follower.freshness.staleness(), None, "it may lack tombstones that are gone");
        clock.set(Timestamp::from_millis(1_000_000));
        follower.look_to(asked_at, told_at, vec![(Source(0), Offset::ZERO)]);
        assert!(follower.freshness.staleness().is_some());
    }
}
