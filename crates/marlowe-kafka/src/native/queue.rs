use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::bindings as sys;
use tokio::sync::Notify;

use super::client::Client;
use super::messages::Messages;

/// A queue that a partition's messages come into.
pub(crate) struct Queue {
    ptr: *mut sys::rd_kafka_queue_t,
    signal: Arc<Signal>,
    client: Arc<Client>,
}

/// Whether something may be in a queue, and who waits for that.
struct Signal {
    ready: AtomicBool,
    wake: Arc<Notify>,
}

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// A new queue; `wake` is notified when something comes into it while it is empty.
    pub(crate) fn new(client: &Arc<Client>, wake: &Arc<Notify>) -> Self {
        let signal = Arc::new(Signal { ready: AtomicBool::new(true), wake: wake.clone() });
        // SAFETY: the client is alive. The signal outlives the callback, which is taken off before the queue is destroyed.
        let ptr = unsafe {
            let ptr = sys::rd_kafka_queue_new(client.as_ptr());
            sys::rd_kafka_queue_cb_event_enable(ptr, Some(on_event), Arc::as_ptr(&signal).cast_mut().cast());
            ptr
        };
        Self { ptr, signal, client: client.clone() }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.ptr
    }

    /// Takes what is there, at most `most` messages; `None` when nothing is.
    pub(crate) fn take(&self, most: usize) -> Option<Messages> {
        // Before it looks: what comes after that makes it ready again.
        if !self.signal.ready.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut messages: Vec<*mut sys::rd_kafka_message_t> = Vec::with_capacity(most);
        // SAFETY: the queue is alive, and there is room for `most` pointers, of which so many are written as it says.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.ptr, 0, messages.as_mut_ptr(), most);
            messages.set_len(count.max(0) as usize);
        }
        if messages.is_empty() {
            return None;
        }
        // There may be more: the event comes only for an empty queue.
        self.signal.ready.store(true, Ordering::Release);
        Some(Messages::new(messages, self.client.clone()))
    }

    /// Whether something may be in it.
    pub(crate) fn is_ready(&self) -> bool {
        self.signal.ready.load(Ordering::Acquire)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: no event comes after the callback is taken off, under the queue's lock; the queue is destroyed once.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.ptr, None, std::ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.ptr);
        }
    }
}

unsafe extern "C" fn on_event(_: *mut sys::rd_kafka_t, signal: *mut c_void) {
    // SAFETY: it is the signal of a queue that is alive.
    let signal = unsafe { &*signal.cast::<Signal>() };
    signal.ready.store(true, Ordering::Release);
    signal.wake.notify_one();
}
