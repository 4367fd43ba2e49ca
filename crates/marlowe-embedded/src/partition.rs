use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{BrokerError, Cleanup, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a partition holds, as storage remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first offset there.
    pub(crate) start: u64,
    /// The offset after the last, any marker counted.
    pub(crate) end: u64,
    /// Up to where the cleaner has been.
    pub(crate) cleaned: u64,
    /// The bytes before `cleaned`.
    pub(crate) clean_bytes: u64,
    /// The bytes from `cleaned` on.
    pub(crate) dirty_bytes: u64,
}

/// One partition: its bounds, and who waits for more of it. Its batches are in the storage under its id.
pub(crate) struct Partition {
    /// Its number in the storage; never used again, so that a topic deleted and created again is another.
    pub(crate) id: u32,
    pub(crate) place: TopicPartition,
    pub(crate) cleanup: Cleanup,
    /// How long compaction keeps a tombstone after it first met it.
    pub(crate) tombstone_retention: Duration,
    /// Written by whoever holds the ledger's order; the bounds below are what readers see of it.
    pub(crate) extent: Mutex<Extent>,
    start: AtomicU64,
    end: AtomicU64,
    deleted: AtomicBool,
    watchers: Mutex<Vec<Arc<Watcher>>>,
}

impl Partition {
    pub(crate) fn new(
        id: u32,
        place: TopicPartition,
        cleanup: Cleanup,
        tombstone_retention: Duration,
        extent: Extent,
    ) -> Self {
        Self {
            id,
            place,
            cleanup,
            tombstone_retention,
            extent: Mutex::new(extent),
            start: AtomicU64::new(extent.start),
            end: AtomicU64::new(extent.end),
            deleted: AtomicBool::new(false),
            watchers: Mutex::default(),
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Shows readers a new extent.
    pub(crate) fn publish(&self, extent: Extent) {
        *self.extent.lock() = extent;
        self.start.store(extent.start, Ordering::Release);
        self.end.store(extent.end, Ordering::Release);
    }

    /// Raises the start ahead of the removal of what lies before it, so that no reader takes the hole for compaction.
    pub(crate) fn raise_start(&self, start: u64) {
        self.start.fetch_max(start, Ordering::AcqRel);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes back a deletion that the storage refused.
    pub(crate) fn restore(&self) {
        self.deleted.store(false, Ordering::Release);
    }

    /// That it is there still.
    pub(crate) fn alive(&self) -> Result<(), BrokerError> {
        if self.is_deleted() { Err(BrokerError::UnknownTopic { topic: self.place.topic.clone() }) } else { Ok(()) }
    }

    pub(crate) fn watch(&self, watcher: Arc<Watcher>) {
        self.watchers.lock().push(watcher);
    }

    pub(crate) fn unwatch(&self, watcher: &Arc<Watcher>) {
        self.watchers.lock().retain(|other| !Arc::ptr_eq(other, watcher));
    }

    /// Wakes the readers that want more of this partition.
    pub(crate) fn wake(&self) {
        for watcher in self.watchers.lock().iter() {
            if watcher.wants.load(Ordering::Acquire) {
                watcher.reader.notify_one();
            }
        }
    }
}

/// A reader's interest in one partition.
pub(crate) struct Watcher {
    /// Wakes the reader.
    pub(crate) reader: Arc<Notify>,
    /// Whether more of this partition is worth waking for: not while it is paused.
    pub(crate) wants: AtomicBool,
}
