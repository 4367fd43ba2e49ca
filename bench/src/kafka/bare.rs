//! The bare count, which uses librdkafka without Marlowe.

#![allow(unsafe_code)] // the bare count calls librdkafka directly, because it shows the limit

use std::collections::HashMap;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Stretch;
use super::visit::{PARTITIONS, Visit};
use crate::BenchResult;

/// The number of messages that are taken at a time.
const BATCH: usize = 1000;

/// Counts per page with librdkafka's batch queue and a `HashMap`.
pub(crate) fn count(brokers: &str, topic: &str, events: u64, stretch: &mut Stretch) -> BenchResult<()> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut counted = 0;
    let mut wrong = None;
    read(brokers, topic, events, |_, value| {
        match serde_json::from_slice::<Visit>(value) {
            Ok(visit) => *counts.entry(visit.page).or_default() += 1,
            Err(error) => wrong = Some(error),
        }
        counted += 1;
        stretch.counted(counted);
    })?;
    if let Some(error) = wrong {
        return Err(error.into());
    }
    if counts.values().sum::<u64>() != events {
        return Err("not every event was counted once".into());
    }
    Ok(())
}

/// Reads the first `records` records of a topic through librdkafka's batch queue.
pub(crate) fn read(brokers: &str, topic: &str, records: u64, mut each: impl FnMut(&[u8], &[u8])) -> BenchResult<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let mut read = 0;
    let mut messages: Vec<*mut sys::rd_kafka_message_t> = Vec::with_capacity(BATCH);
    // SAFETY: the consumer is alive, and there is room for `BATCH` pointers. Each message is read
    // before it is destroyed, and is destroyed once.
    unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        while read < records {
            let count = sys::rd_kafka_consume_batch_queue(queue, 1000, messages.as_mut_ptr(), BATCH);
            messages.set_len(count.max(0) as usize);
            for message in messages.drain(..) {
                if (*message).err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let key = bytes((*message).key, (*message).key_len);
                    each(key, bytes((*message).payload, (*message).len));
                    read += 1;
                }
                sys::rd_kafka_message_destroy(message);
            }
        }
        sys::rd_kafka_queue_destroy(queue);
    }
    Ok(())
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
