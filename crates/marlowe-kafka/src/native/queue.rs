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

/// The queue that a partition's messages come into. It is the partition's own: librdkafka looks at its length again and
/// again, which takes three times as long where it hands on to another.
pub(crate) struct Queue {
    ptr: *mut sys::rd_kafka_queue_t,
    signal: Arc<Signal>,
    client: Arc<Client>,
}

/// Queues into which something came while they were empty, by their numbers.
#[derive(Default)]
pub(crate) struct Arrivals {
    numbers: Mutex<Vec<u32>>,
    wake: Notify,
}

/// Whether a queue is among the arrivals, or whoever took it from there has not found it empty yet.
struct Signal {
    number: u32,
    ready: AtomicBool,
    arrivals: Arc<Arrivals>,
}

/// Whether a queue is among the arrivals.
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

    /// Moves what has come to `numbers`.
    pub(crate) fn take(&self, numbers: &mut impl Extend<u32>) {
        numbers.extend(self.numbers.lock().drain(..));
    }

    /// Waits until something comes.
    pub(crate) async fn come(&self) {
        self.wake.notified().await;
    }

    /// Has who waits look.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Topic {
    /// Has a partition read from `offset` on. Its queue has `number` among the `arrivals`.
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

    /// Ends that. Returns when nothing comes any more.
    pub(crate) fn stop(&self, partition: u32) {
        // SAFETY: the topic is alive.
        unsafe { sys::rd_kafka_consume_stop(self.as_ptr(), partition as i32) };
    }
}

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// The queue of a partition that is read. Its number is among the `arrivals` when something may be in it.
    fn new(topic: &Topic, partition: u32, number: u32, arrivals: &Arc<Arrivals>) -> Self {
        let client = topic.client();
        let signal = Arc::new(Signal { number, ready: AtomicBool::new(true), arrivals: arrivals.clone() });
        // SAFETY: client and topic are alive, and a consumer has a queue for each partition. The signal outlives the callback,
        // which is taken off before the queue is let go of.
        let ptr = unsafe {
            let name = sys::rd_kafka_topic_name(topic.as_ptr());
            let ptr = sys::rd_kafka_queue_get_partition(client.as_ptr(), name, partition as i32);
            sys::rd_kafka_queue_cb_event_enable(ptr, Some(on_event), Arc::as_ptr(&signal).cast_mut().cast());
            ptr
        };
        // Something may have come before that.
        arrivals.add(number);
        Self { ptr, signal, client: client.clone() }
    }

    /// Takes what is there, at most `most` messages, of a queue that was among the arrivals; `None` when nothing is. There may be
    /// more, and whether that is told to the arrivals already is told besides.
    pub(crate) fn take(&self, most: usize) -> Option<(Messages, Told)> {
        // Before it looks: what comes after that is told anew.
        self.signal.ready.store(false, Ordering::Release);
        let messages = self.consume(most)?;
        // The event comes only for an empty queue.
        let told = if self.signal.ready.swap(true, Ordering::AcqRel) { Told::Already } else { Told::NotYet };
        Some((messages, told))
    }

    /// Lets go of what was fetched ahead of a partition that is not read any more: librdkafka does so when it comes to it.
    pub(crate) fn discard(&self) {
        self.consume(1);
    }

    fn consume(&self, most: usize) -> Option<Messages> {
        let mut messages: Vec<*mut sys::rd_kafka_message_t> = Vec::with_capacity(most);
        // SAFETY: the queue is alive, and there is room for `most` pointers, of which so many are written as it says.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.ptr, 0, messages.as_mut_ptr(), most);
            messages.set_len(count.max(0) as usize);
        }
        (!messages.is_empty()).then(|| Messages::new(messages, self.client.clone()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: no event comes after the callback is taken off, under the queue's lock; the queue is let go of once.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.ptr, None, std::ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.ptr);
        }
    }
}

unsafe extern "C" fn on_event(_: *mut sys::rd_kafka_t, signal: *mut c_void) {
    // SAFETY: it is the signal of a queue that is alive.
    let signal = unsafe { &*signal.cast::<Signal>() };
    if !signal.ready.swap(true, Ordering::AcqRel) {
        signal.arrivals.add(signal.number);
    }
}
