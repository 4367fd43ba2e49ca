//! A partition: its bounds, and the readers that wait for more of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{BrokerError, Cleanup, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The bounds and sizes of a partition, as the storage keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The partition's first offset.
    pub(crate) start: u64,
    /// The offset after the last record, or after the marker that follows it.
    pub(crate) end: u64,
    /// The offset up to which compaction has passed.
    pub(crate) cleaned: u64,
    /// The bytes of the batches before `cleaned`.
    pub(crate) clean_bytes: u64,
    /// The bytes of the batches from `cleaned` on.
    pub(crate) dirty_bytes: u64,
}

/// One partition: its bounds, and the readers that wait for more of it. Its batches are in the
/// storage, under its id.
pub(crate) struct Partition {
    /// The partition's id in the storage. It is never used again, so a topic that is deleted and
    /// created again has other ids.
    pub(crate) id: u32,
    pub(crate) place: TopicPartition,
    pub(crate) cleanup: Cleanup,
    /// How long compaction keeps a tombstone after it first met it.
    pub(crate) tombstone_retention: Duration,
    /// The extent, which changes only while the ledger's `order` is locked. Readers see `start` and
    /// `end` instead.
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

    /// Raises the start before the batches below it are removed, so that no reader takes the hole
    /// for a gap of compaction.
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

    /// Undoes a deletion that the storage refused.
    pub(crate) fn restore(&self) {
        self.deleted.store(false, Ordering::Release);
    }

    /// Checks that the partition was not deleted.
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
    /// True while more records in the partition are worth waking the reader for. They are not while
    /// it has paused the partition.
    pub(crate) wants: AtomicBool,
}
