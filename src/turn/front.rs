//! The position of an agent's input for threads other than its lane's. The watchdog reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use marlowe_broker::{Offset, RecordBatch};
use parking_lot::Mutex;

/// The front of an input: its position and its first batch. Other threads read from it which event
/// an agent has in hand when the agent's lane is stuck and cannot tell. The lane writes the offset
/// with each event, and the batch with each batch.
pub(crate) struct Front {
    done: AtomicU64,
    begun: AtomicUsize,
    batch: Mutex<Option<Arc<dyn RecordBatch>>>,
}

/// An event in hand, as it is shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventInHand {
    pub(crate) offset: Offset,
    /// Its key, shortened, with all characters escaped that are not printable.
    pub(crate) key: Option<String>,
}

/// The most bytes of a key that are shown.
const KEY_BYTES: usize = 64;

impl Front {
    pub(crate) fn new(position: Offset) -> Self {
        Self { done: AtomicU64::new(position.get()), begun: AtomicUsize::new(0), batch: Mutex::default() }
    }

    /// Returns the offset after the last finished record.
    #[inline]
    pub(crate) fn done(&self) -> Offset {
        Offset::new(self.done.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set_done(&self, offset: Offset) {
        self.done.store(offset.get(), Ordering::Relaxed);
    }

    /// Sets the number of events that the agent has begun, if it handles events concurrently.
    pub(crate) fn set_begun(&self, events: usize) {
        self.begun.store(events, Ordering::Relaxed);
    }

    pub(crate) fn set_batch(&self, batch: Option<&Arc<dyn RecordBatch>>) {
        *self.batch.lock() = batch.cloned();
    }

    /// Returns a number that changes with each event that is finished.
    pub(crate) fn progress(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Returns the number of events that the agent has begun, if it handles events concurrently.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the first event that is not finished.
    pub(crate) fn event(&self) -> Option<EventInHand> {
        let done = self.done();
        let batch = self.batch.lock().clone()?;
        let record = (0..batch.len()).map(|index| batch.get(index)).find(|record| record.offset >= done)?;
        Some(EventInHand { offset: record.offset, key: record.key.map(shown) })
    }
}

fn shown(key: &[u8]) -> String {
    let (shown, rest) = key.split_at(key.len().min(KEY_BYTES));
    let more = if rest.is_empty() { "" } else { "…" };
    match std::str::from_utf8(shown) {
        Ok(text) => format!("{}{more}", text.escape_debug()),
        Err(_) => format!("{}{more}", shown.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_short_and_in_one_line() {
        assert_eq!(shown(b"plain"), "plain");
        assert_eq!(shown(b"two\nlines\x1b"), "two\\nlines\\u{1b}");
        assert_eq!(shown(b"\xff\x00"), "\\xff\\x00");
        assert_eq!(shown(&[b'x'; 100]).chars().count(), KEY_BYTES + 1);
    }
}
