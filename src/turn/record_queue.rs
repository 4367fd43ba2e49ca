//! The queue of one agent in one partition: fetched records, the agent's position, and when its
//! partition is full.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::front::Front;
use marlowe_broker::{Offset, RecordBatch, RecordRef, Timestamp, TopicPartition};

/// The records of one partition that wait for one agent, and the agent's position. (Kafka Streams
/// has a `RecordQueue` per partition of a task.)
///
/// Agents that read the same topic share the batches. Each goes at its own pace.
pub(crate) struct RecordQueue {
    pub(crate) source: TopicPartition,
    batches: RefCell<VecDeque<Arc<dyn RecordBatch>>>,
    /// The number of finished records in the first batch. It is less than the batch's length, or
    /// there is no batch.
    finished: Cell<usize>,
    /// The number of records in the first batch.
    first_len: Cell<usize>,
    /// The position, for threads other than the lane's as well.
    front: Arc<Front>,
    /// The offset after everything that was fetched, including markers and gaps.
    fetched: Cell<Offset>,
    bytes: Cell<usize>,
    /// Set while its partition is paused because enough records wait. The queue is full if it holds
    /// more bytes than this.
    paused_above: Cell<Option<usize>>,
}

/// A record in a queue, and the batch that holds its memory.
#[derive(Clone)]
pub(crate) struct Cursor {
    pub(crate) batch: Arc<dyn RecordBatch>,
    pub(crate) index: usize,
}

impl Cursor {
    #[inline]
    pub(crate) fn record(&self) -> RecordRef<'_> {
        self.batch.get(self.index)
    }
}

impl RecordQueue {
    /// Returns an empty queue whose next record is at `position`.
    pub(crate) fn new(source: TopicPartition, position: Offset) -> Self {
        Self {
            source,
            batches: RefCell::default(),
            finished: Cell::new(0),
            first_len: Cell::new(0),
            front: Arc::new(Front::new(position)),
            fetched: Cell::new(position),
            bytes: Cell::new(0),
            paused_above: Cell::new(None),
        }
    }

    /// Takes a fetched batch. Records before this queue's position are skipped, because they were
    /// fetched for another agent.
    pub(crate) fn push(&self, batch: &Arc<dyn RecordBatch>) {
        let next = batch.next_offset();
        if next <= self.fetched.get() {
            return;
        }
        let from = self.fetched.replace(next);
        let first = (0..batch.len()).position(|index| batch.get(index).offset >= from);
        let Some(first) = first else { return };
        let mut batches = self.batches.borrow_mut();
        if first > 0 {
            // This happens only with the first batch after an opening.
            debug_assert!(batches.is_empty(), "batches come in order");
            self.finished.set(first);
        }
        self.bytes.set(self.bytes.get() + batch.size());
        if batches.is_empty() {
            self.first_len.set(batch.len());
            self.front.set_batch(Some(batch));
        }
        batches.push_back(batch.clone());
    }

    /// Notes that no records before `start` will come, except for those that are fetched already.
    pub(crate) fn skip_to(&self, start: Offset) {
        self.fetched.set(self.fetched.get().max(start));
    }

    /// Returns true if no records wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.borrow().is_empty()
    }

    /// Returns the number of records that wait.
    pub(crate) fn waiting(&self) -> usize {
        let all: usize = self.batches.borrow().iter().map(|batch| batch.len()).sum();
        all - self.finished.get().min(all)
    }

    /// Returns the size of the batches that it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Returns the position for threads other than the lane's.
    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.front
    }

    /// Notes that the partition is paused until at most `above` bytes wait, or with `None` that it
    /// is read again.
    pub(crate) fn pause(&self, above: Option<usize>) {
        self.paused_above.set(above);
    }

    /// Returns true if nothing more comes before some of the waiting records are finished.
    pub(crate) fn is_full(&self) -> bool {
        self.paused_above.get().is_some_and(|above| self.bytes.get() > above)
    }

    /// Returns the record that is `ahead` records after the last finished one.
    pub(crate) fn peek(&self, ahead: usize) -> Option<Cursor> {
        let mut index = self.finished.get() + ahead;
        for batch in &*self.batches.borrow() {
            if index < batch.len() {
                return Some(Cursor { batch: batch.clone(), index });
            }
            index -= batch.len();
        }
        None
    }

    /// Returns the timestamp of the next record.
    pub(crate) fn next_timestamp(&self) -> Option<Timestamp> {
        let batches = self.batches.borrow();
        Some(batches.front()?.get(self.finished.get()).timestamp)
    }

    /// Finishes the next record, whose offset is `offset`.
    #[inline]
    pub(crate) fn finish(&self, offset: Offset) {
        self.front.set_done(offset.next());
        self.finished.set(self.finished.get() + 1);
        if self.finished.get() >= self.first_len.get() {
            self.pass_batch();
        }
    }

    /// Removes the first batch, because all its records are finished.
    fn pass_batch(&self) {
        let mut batches = self.batches.borrow_mut();
        if let Some(first) = batches.pop_front() {
            self.bytes.set(self.bytes.get() - first.size());
        }
        self.finished.set(0);
        self.first_len.set(batches.front().map_or(0, |batch| batch.len()));
        self.front.set_batch(batches.front());
    }

    /// Returns the position to commit: the offset of the next record, or the offset that the next
    /// record will have at least. All records before it are finished.
    pub(crate) fn position(&self) -> Offset {
        if self.is_empty() { self.fetched.get() } else { self.front.done().max(self.skipped_to()) }
    }

    /// Returns the offset of the first record that waits. It may lie after `done` if there is a gap
    /// in the offsets.
    fn skipped_to(&self) -> Offset {
        self.batches.borrow().front().map_or(Offset::ZERO, |front| front.get(self.finished.get()).offset)
    }
}
