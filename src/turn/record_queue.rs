use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::front::Front;
use marlowe_broker::{Offset, RecordBatch, RecordRef, Timestamp, TopicPartition};

/// One agent's place in one partition: what was fetched for it and not finished, and how far it is.
///
/// Agents that read the same topic share the batches, and each goes at its own pace.
pub(crate) struct RecordQueue {
    pub(crate) source: TopicPartition,
    batches: RefCell<VecDeque<Arc<dyn RecordBatch>>>,
    /// How many records of the first batch are finished. Below its length, or there is no batch.
    finished: Cell<usize>,
    /// How many records the first batch has.
    first_len: Cell<usize>,
    /// How far it is, for threads other than the lane's too.
    front: Arc<Front>,
    /// The offset after all that was fetched, markers and gaps included.
    fetched: Cell<Offset>,
    bytes: Cell<usize>,
    /// Set while its partition is not read because enough waits: above so many bytes it is this input that is full.
    paused_above: Cell<Option<usize>>,
}

/// A record in an input, and the memory it lies in.
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
    /// An input that goes on at `position`.
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

    /// Takes what was fetched. Records before this input's position are passed over: another agent needed them.
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
            // Only ever the first batch after an opening.
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

    /// What is not fetched and lies before `start` will not come.
    pub(crate) fn skip_to(&self, start: Offset) {
        self.fetched.set(self.fetched.get().max(start));
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.borrow().is_empty()
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        let all: usize = self.batches.borrow().iter().map(|batch| batch.len()).sum();
        all - self.finished.get().min(all)
    }

    /// The bytes of the batches that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Where it is, for threads other than the lane's.
    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.front
    }

    /// Its partition is not read on until no more than `above` bytes wait, or is read again.
    pub(crate) fn pause(&self, above: Option<usize>) {
        self.paused_above.set(above);
    }

    /// Whether so much waits that nothing comes before some of it is finished.
    pub(crate) fn is_full(&self) -> bool {
        self.paused_above.get().is_some_and(|above| self.bytes.get() > above)
    }

    /// The record that is `ahead` records after the last finished one.
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

    /// When the next record happened.
    pub(crate) fn next_timestamp(&self) -> Option<Timestamp> {
        let batches = self.batches.borrow();
        Some(batches.front()?.get(self.finished.get()).timestamp)
    }

    /// The next record, whose offset is `offset`, is finished.
    #[inline]
    pub(crate) fn finish(&self, offset: Offset) {
        self.front.set_done(offset.next());
        self.finished.set(self.finished.get() + 1);
        if self.finished.get() >= self.first_len.get() {
            self.pass_batch();
        }
    }

    /// The first batch is finished.
    fn pass_batch(&self) {
        let mut batches = self.batches.borrow_mut();
        if let Some(first) = batches.pop_front() {
            self.bytes.set(self.bytes.get() - first.size());
        }
        self.finished.set(0);
        self.first_len.set(batches.front().map_or(0, |batch| batch.len()));
        self.front.set_batch(batches.front());
    }

    /// The position to commit: all before it is finished, and it names the next record, or the place where that will be.
    pub(crate) fn position(&self) -> Offset {
        if self.is_empty() { self.fetched.get() } else { self.front.done().max(self.skipped_to()) }
    }

    /// Where the first batch begins for this input, which may lie after `done` where there is a gap.
    fn skipped_to(&self) -> Offset {
        self.batches.borrow().front().map_or(Offset::ZERO, |front| front.get(self.finished.get()).offset)
    }
}
