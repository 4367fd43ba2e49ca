//! A batch of records, as a reader returns it.

use marlowe_broker::{Header, Offset, RecordBatch, RecordRef};

use crate::native::Messages;

/// Records of one partition. They stay in librdkafka's memory.
pub(crate) struct KafkaBatch {
    messages: Messages,
    next: Offset,
    size: usize,
}

impl KafkaBatch {
    /// Creates a batch of `messages`, which must all be records. `next` is the offset to read next.
    pub(crate) fn new(messages: Messages, next: Offset) -> Self {
        let size = messages.size();
        Self { messages, next, size }
    }
}

impl RecordBatch for KafkaBatch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn get(&self, index: usize) -> RecordRef<'_> {
        self.messages.record(index)
    }

    fn headers(&self, index: usize) -> Vec<Header<'_>> {
        self.messages.headers(index)
    }

    fn next_offset(&self) -> Offset {
        self.next
    }

    fn size(&self) -> usize {
        self.size
    }
}
