//! The queues into which librdkafka fetches the messages of partitions, and the news of which
//! queues have messages.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::bindings as sys;
use tokio::sync::Notify;

use super::client::Client;
use super::code::{Code, Failure};
use super::messages::Messages;
use super::topic::Topic;

/// The queue that a partition's messages arrive in.
///
/// It is the partition's own queue, and is not forwarded to another. librdkafka looks at the length
/// of the queue again and again, which takes three times as long for a forwarded queue.
pub(crate) struct Queue {
    ptr: *mut sys::rd_kafka_queue_t,
    signal: Arc<Signal>,
    client: Arc<Client>,
}

/// The numbers of the queues into which something came while they were empty.
#[derive(Default)]
pub(crate) struct Arrivals {
    numbers: Mutex<Vec<u32>>,
    wake: Notify,
}

/// The flag that keeps a queue from being among the arrivals twice.
struct Signal {
    number: u32,
    /// True while the queue is among the arrivals, and then until the caller that took it from
    /// there finds it empty.
    ready: AtomicBool,
    arrivals: Arc<Arrivals>,
}

/// The state of a queue: whether it is among the arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Already,
    NotYet,
}

impl Arrivals {
    fn add(&self, number: u32) {
        self.numbers.lock().push(number);
        self.wake();
    }

    /// Moves the numbers that have arrived into `numbers`.
    pub(crate) fn take(&self, numbers: &mut impl Extend<u32>) {
        numbers.extend(self.numbers.lock().drain(..));
    }

    /// Waits until something arrives, or [`wake`](Self::wake) is called.
    pub(crate) async fn come(&self) {
        self.wake.notified().await;
    }

    /// Wakes the task that waits for arrivals, so that it looks.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Topic {
    /// Starts reading a partition at `offset`. Its queue has `number` among the `arrivals`.
    pub(crate) fn start(
        &self,
        partition: u32,
        offset: i64,
        number: u32,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Queue, Failure> {
        // SAFETY: the topic is alive.
        let refused = unsafe { sys::rd_kafka_consume_start(self.as_ptr(), partition as i32, offset) } != 0;
        if refused { Err(Failure::of(Code::last())) } else { Ok(Queue::new(self, partition, number, arrivals)) }
    }

    /// Stops reading the partition. Returns when no more messages arrive.
    pub(crate) fn stop(&self, partition: u32) {
        // SAFETY: the topic is alive.
        unsafe { sys::rd_kafka_consume_stop(self.as_ptr(), partition as i32) };
    }
}

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// Opens the queue of a partition that is read. Its number is among the `arrivals` when
    /// something may be in the queue.
    fn new(topic: &Topic, partition: u32, number: u32, arrivals: &Arc<Arrivals>) -> Self {
        let client = topic.client();
        let signal = Arc::new(Signal { number, ready: AtomicBool::new(true), arrivals: arrivals.clone() });
        // SAFETY: client and topic are alive, and a consumer has a queue for each partition. The
        // signal outlives the callback, which is removed before the queue is released.
        let ptr = unsafe {
            let name = sys::rd_kafka_topic_name(topic.as_ptr());
            let ptr = sys::rd_kafka_queue_get_partition(client.as_ptr(), name, partition as i32);
            sys::rd_kafka_queue_cb_event_enable(ptr, Some(on_event), Arc::as_ptr(&signal).cast_mut().cast());
            ptr
        };
        // Something may have arrived before the callback was set.
        arrivals.add(number);
        Self { ptr, signal, client: client.clone() }
    }

    /// Takes at most `most` messages that are there, from a queue that was among the arrivals.
    /// Returns `None` when the queue is empty.
    ///
    /// There may be more messages. [`Told`] says whether the queue is already among the arrivals
    /// again. If it is not, the caller has to come back to it.
    pub(crate) fn take(&self, most: usize) -> Option<(Messages, Told)> {
        // The flag is cleared before the queue is read, so that what arrives after the read is
        // reported again.
        self.signal.ready.store(false, Ordering::Release);
        let messages = self.consume(most)?;
        // librdkafka reports only what arrives in an empty queue, so the flag stays set until the
        // queue is found empty.
        let told = if self.signal.ready.swap(true, Ordering::AcqRel) { Told::Already } else { Told::NotYet };
        Some((messages, told))
    }

    /// Discards what was fetched ahead of a partition that is no longer read. librdkafka drops it
    /// when it comes across it.
    pub(crate) fn discard(&self) {
        self.consume(1);
    }

    fn consume(&self, most: usize) -> Option<Messages> {
        let mut messages: Vec<*mut sys::rd_kafka_message_t> = Vec::with_capacity(most);
        // SAFETY: the queue is alive. There is room for `most` pointers, and librdkafka returns how
        // many of them it has written.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.ptr, 0, messages.as_mut_ptr(), most);
            messages.set_len(count.max(0) as usize);
        }
        (!messages.is_empty()).then(|| Messages::new(messages, self.client.clone()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: no event arrives after the callback is removed, which happens under the queue's
        // lock. The queue is released once.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.ptr, None, std::ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.ptr);
        }
    }
}

unsafe extern "C" fn on_event(_: *mut sys::rd_kafka_t, signal: *mut c_void) {
    // SAFETY: `signal` belongs to a queue that is alive.
    let signal = unsafe { &*signal.cast::<Signal>() };
    if !signal.ready.swap(true, Ordering::AcqRel) {
        signal.arrivals.add(signal.number);
    }
}
