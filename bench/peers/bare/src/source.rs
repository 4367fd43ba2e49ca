#![allow(unsafe_code)] // the limit is what can be had from librdkafka directly

use std::ffi::CStr;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::PeerResult;

/// How many messages are taken at a time.
const BATCH: usize = 1000;

/// How long to wait for the first one, in milliseconds.
const WAIT: i32 = 20;

/// A message, as it lies in librdkafka's memory.
pub(crate) struct Message<'a> {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What comes from a source.
pub(crate) enum Incoming<'a> {
    /// A message.
    Message(Message<'a>),
    /// This partition has no more, for now.
    End(i32),
}

/// The partitions of a consumer, read through librdkafka's batch queue.
pub(crate) struct Source {
    consumer: Arc<BaseConsumer>,
    queue: *mut sys::rd_kafka_queue_t,
    topics: Vec<String>,
    taken: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: a queue may be used by any thread, and this one is used by the thread that has the source.
unsafe impl Send for Source {}

impl Source {
    /// Reads `partitions` of `topics`.
    pub(crate) fn open(
        consumer: Arc<BaseConsumer>,
        topics: &[&str],
        partitions: &TopicPartitionList,
    ) -> PeerResult<Self> {
        consumer.assign(partitions)?;
        // SAFETY: the consumer is alive, and outlives its queue, which is let go of in `drop`.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(Self { consumer, queue, topics, taken: Vec::with_capacity(BATCH) })
    }

    /// Hands what there is to `each`, and says how much it was.
    pub(crate) fn take(&mut self, mut each: impl FnMut(Incoming<'_>) -> PeerResult<()>) -> PeerResult<usize> {
        let mut done = Ok(());
        // SAFETY: the queue is alive; there is room for so many pointers; each message is read while it is there, and
        // destroyed once.
        let count = unsafe {
            let count =
                sys::rd_kafka_consume_batch_queue(self.queue, WAIT, self.taken.as_mut_ptr(), BATCH).max(0) as usize;
            self.taken.set_len(count);
            count
        };
        for message in self.taken.drain(..) {
            if done.is_ok() {
                // SAFETY: as above.
                done = unsafe { incoming(&self.topics, &*message) }.and_then(&mut each);
            }
            // SAFETY: as above.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        done.map(|()| count)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: it was got once, and the consumer is still there.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
        debug_assert!(Arc::strong_count(&self.consumer) > 0);
    }
}

/// # Safety
/// What the message points to is there for as long as `'a`.
unsafe fn incoming<'a>(topics: &[String], message: &'a sys::rd_kafka_message_t) -> PeerResult<Incoming<'a>> {
    use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR_NO_ERROR};
    match message.err {
        RD_KAFKA_RESP_ERR_NO_ERROR => {}
        RD_KAFKA_RESP_ERR__PARTITION_EOF => return Ok(Incoming::End(message.partition)),
        error => return Err(format!("reading partition {}: {error:?}", message.partition).into()),
    }
    let topic = if topics.len() == 1 {
        0
    } else {
        // SAFETY: a message of a topic has it, and its name is a C string.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(message.rkt)) };
        topics.iter().position(|topic| topic.as_bytes() == name.to_bytes()).unwrap_or_default()
    };
    // SAFETY: by this function's condition.
    let (key, value) = unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
    Ok(Incoming::Message(Message { topic, partition: message.partition, offset: message.offset, key, value }))
}

/// # Safety
/// `start` is null, or so many bytes are there for as long as `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by this function's condition.
    unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) }
}
