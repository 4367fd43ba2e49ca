use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::Batch;

/// The batches written and read last, up to some bytes, so that those who read the same share one piece of memory.
///
/// A reader that fetched one while the cleaner replaced it may put it back. That is no harm: it holds all that was ever at its
/// offsets.
pub(crate) struct Tail {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
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
