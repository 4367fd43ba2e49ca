//! A cache of a folder's newest batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::Batch;

/// The number of keys of removed batches that may stay in `order`, however few batches there are.
const STALE: usize = 1024;

/// The batches that were written and read last, up to a number of bytes. Readers of the same batch
/// share one piece of memory.
///
/// A reader that fetched a batch while the cleaner replaced it may put the old batch back. That
/// does no harm, because the old batch holds all that was ever at its offsets.
pub(crate) struct Tail {
    limit: usize,
    inner: Mutex<TailBatches>,
}

#[derive(Default)]
struct TailBatches {
    batches: BTreeMap<(u32, u64), Arc<Batch>>,
    order: VecDeque<(u32, u64)>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    pub(crate) fn find(&self, partition: u32, offset: u64) -> Option<Arc<Batch>> {
        let inner = self.inner.lock();
        let ((id, _), batch) = inner.batches.range(..=(partition, offset)).next_back()?;
        (*id == partition && batch.next() > offset).then(|| batch.clone())
    }

    pub(crate) fn remove(&self, partition: u32, base: u64) {
        let mut inner = self.inner.lock();
        if let Some(former) = inner.batches.remove(&(partition, base)) {
            inner.bytes -= former.bytes();
        }
        // A removed batch leaves its key in `order`. Where much is removed, the bytes never reach
        // the limit at which `add` drops such keys.
        let TailBatches { batches, order, .. } = &mut *inner;
        if order.len() > 2 * batches.len() + STALE {
            order.retain(|key| batches.contains_key(key));
        }
    }

    pub(crate) fn add(&self, partition: u32, batch: Arc<Batch>) {
        let mut inner = self.inner.lock();
        let key = (partition, batch.base());
        inner.bytes += batch.bytes();
        match inner.batches.insert(key, batch) {
            Some(former) => inner.bytes -= former.bytes(),
            None => inner.order.push_back(key),
        }
        while inner.bytes > self.limit {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some(former) = inner.batches.remove(&oldest) {
                inner.bytes -= former.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n4_3_removed_batches_leave_nothing_behind() {
        let tail = Tail::new(1 << 20);
        for base in 0..100_000 {
            tail.add(1, Arc::new(Batch::at(base, base + 1, Vec::new(), vec![0; 10])));
            tail.remove(1, base);
        }
        let inner = tail.inner.lock();
        assert!(inner.order.len() <= STALE + 1, "{} places", inner.order.len());
        assert_eq!((inner.batches.len(), inner.bytes), (0, 0));
    }
}
