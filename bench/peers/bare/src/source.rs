//! The reader of the bare loop, which takes messages from librdkafka's batch queue.

#![allow(unsafe_code)] // the bare loop calls librdkafka directly, because it shows the limit

use std::ffi::CStr;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::PeerResult;

/// The number of messages that are taken at a time.
const BATCH: usize = 1000;

/// The longest time to wait for the first message, in milliseconds.
const WAIT: i32 = 20;

/// A message that borrows from librdkafka's memory.
pub(crate) struct Message<'a> {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// An item that a source delivers.
pub(crate) enum Incoming<'a> {
    Message(Message<'a>),
    /// The end of this partition, for now.
    End(i32),
}

/// The partitions of a consumer, read through librdkafka's batch queue.
pub(crate) struct Source {
    consumer: Arc<BaseConsumer>,
    queue: *mut sys::rd_kafka_queue_t,
    topics: Vec<String>,
    taken: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: any thread may use a queue, and only the thread that owns the source uses this one.
unsafe impl Send for Source {}

impl Source {
    /// Opens a source that reads `partitions`, which belong to `topics`.
    pub(crate) fn open(
        consumer: Arc<BaseConsumer>,
        topics: &[&str],
        partitions: &TopicPartitionList,
    ) -> PeerResult<Self> {
        consumer.assign(partitions)?;
        // SAFETY: the consumer is alive and outlives its queue, which `drop` releases.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(Self { consumer, queue, topics, taken: Vec::with_capacity(BATCH) })
    }

    /// Passes the available messages to `each`, and returns how many there were.
    pub(crate) fn take(&mut self, mut each: impl FnMut(Incoming<'_>) -> PeerResult<()>) -> PeerResult<usize> {
        let mut done = Ok(());
        // SAFETY: the queue is alive, and there is room for `BATCH` pointers. Each message is read
        // before it is destroyed, and is destroyed once.
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
        // SAFETY: the queue was obtained once, and the consumer still exists.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
        debug_assert!(Arc::strong_count(&self.consumer) > 0);
    }
}

/// Returns what a message of librdkafka means.
///
/// # Safety
/// The memory that the message points to must be valid for `'a`.
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
        // SAFETY: a message without an error has a topic, and the topic's name is a C string.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(message.rkt)) };
        topics.iter().position(|topic| topic.as_bytes() == name.to_bytes()).unwrap_or_default()
    };
    // SAFETY: as this function's condition says.
    let (key, value) = unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
    Ok(Incoming::Message(Message { topic, partition: message.partition, offset: message.offset, key, value }))
}

/// Returns the `length` bytes from `start` on, or none if it is null.
///
/// # Safety
/// `start` must be null, or point to `length` bytes that are valid for `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: as this function's condition says.
    unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) }
}
