//! The brokers that a librdkafka client knows. A client that has lost all of them is given its
//! bootstrap addresses again.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use parking_lot::Mutex;
use rdkafka::bindings as sys;
use sys::rd_kafka_resp_err_t as Raw;
use tokio::time::Instant;

/// The brokers that a client knows, counted by their threads, and the brokers that it reaches. When
/// the last of these threads ends, the client is given its bootstrap addresses again.
///
/// A broker that starts, or comes back after a pause, may answer for a moment that there are no
/// brokers at all. librdkafka then ends what it knows of each broker. It does not always begin
/// again from its bootstrap addresses (its issue 5301). Such a client reaches no broker any more,
/// and does not report it.
pub(super) struct KnownBrokers {
    addresses: CString,
    count: AtomicUsize,
    phase: Mutex<Phase>,
    reached: Mutex<Reached>,
}

/// The brokers whose connections are ready for requests, by their threads.
struct Reached {
    threads: HashSet<ThreadId>,
    /// The time since which there have been none, if there are none.
    none_since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    InUse,
    /// The client is being destroyed, and must not be given brokers any more.
    Ending,
}

/// The beginnings of the names that librdkafka gives to threads that belong to no broker, or to a
/// broker that it also knows by an address.
const OTHERS: [&str; 3] = [":0/internal", "GroupCoordinator", "TxnCoordinator"];

/// The name of the interceptors.
const NAME: &CStr = c"marlowe";

impl KnownBrokers {
    pub(super) fn new(addresses: &str) -> Arc<Self> {
        let addresses = CString::new(addresses).unwrap_or_default();
        let reached = Reached { threads: HashSet::new(), none_since: Instant::now() };
        let (phase, reached) = (Mutex::new(Phase::InUse), Mutex::new(reached));
        Arc::new(Self { addresses, count: AtomicUsize::new(0), phase, reached })
    }

    /// Adds interceptors to `configuration`, so that the client that is created from it counts its
    /// brokers.
    ///
    /// # Safety
    /// The configuration is alive, and `self` lives until the client is destroyed.
    pub(super) unsafe fn watch(self: &Arc<Self>, configuration: *mut sys::rd_kafka_conf_t) {
        let opaque = Arc::as_ptr(self).cast_mut().cast();
        // SAFETY: by this function's condition.
        unsafe { sys::rd_kafka_conf_interceptor_add_on_new(configuration, NAME.as_ptr(), Some(on_new), opaque) };
    }

    /// Notes that the client is about to be destroyed.
    pub(super) fn end(&self) {
        *self.phase.lock() = Phase::Ending;
    }

    /// Returns the time since which no broker has answered, or `None` while one does.
    pub(super) fn unreached_since(&self) -> Option<Instant> {
        let reached = self.reached.lock();
        reached.threads.is_empty().then_some(reached.none_since)
    }

    /// Notes the state of the connection of the current thread, which is a broker's thread.
    fn has_state(&self, state: &CStr) {
        let mut reached = self.reached.lock();
        let thread = std::thread::current().id();
        if state == c"UP" {
            reached.threads.insert(thread);
        } else if reached.threads.remove(&thread) && reached.threads.is_empty() {
            reached.none_since = Instant::now();
        }
    }

    fn begun(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a broker's thread that has ended. After the last one, gives the client its bootstrap
    /// addresses again.
    ///
    /// # Safety
    /// The client is alive, and its destruction does not begin before [`end`](Self::end) is called.
    unsafe fn ended(&self, client: *mut sys::rd_kafka_t) {
        if self.count.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let phase = self.phase.lock();
        if *phase == Phase::InUse {
            tracing::info!(target: "marlowe_kafka", "the cluster named no broker: the first addresses are tried again");
            // SAFETY: by this function's condition: the destruction of the client does not begin
            // while the lock is held.
            unsafe { sys::rd_kafka_brokers_add(client, self.addresses.as_ptr()) };
        }
    }
}

unsafe extern "C" fn on_new(
    client: *mut sys::rd_kafka_t,
    _: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _: *mut c_char,
    _: usize,
) -> Raw {
    // SAFETY: librdkafka calls this with the client that it makes.
    unsafe {
        sys::rd_kafka_interceptor_add_on_thread_start(client, NAME.as_ptr(), Some(on_thread_start), opaque);
        sys::rd_kafka_interceptor_add_on_thread_exit(client, NAME.as_ptr(), Some(on_thread_exit), opaque);
        sys::rd_kafka_interceptor_add_on_broker_state_change(client, NAME.as_ptr(), Some(on_state_change), opaque)
    }
}

unsafe extern "C" fn on_thread_start(
    _: *mut sys::rd_kafka_t,
    kind: sys::rd_kafka_thread_type_t,
    name: *const c_char,
    opaque: *mut c_void,
) -> Raw {
    // SAFETY: librdkafka calls this with a string, and with what `watch` gave.
    unsafe {
        if is_of_broker(kind, name) {
            (*opaque.cast::<KnownBrokers>()).begun();
        }
    }
    Raw::RD_KAFKA_RESP_ERR_NO_ERROR
}

unsafe extern "C" fn on_thread_exit(
    client: *mut sys::rd_kafka_t,
    kind: sys::rd_kafka_thread_type_t,
    name: *const c_char,
    opaque: *mut c_void,
) -> Raw {
    // SAFETY: librdkafka calls this with a string, with what `watch` gave, and with a client that
    // waits for its threads before it is destroyed.
    unsafe {
        if is_of_broker(kind, name) {
            (*opaque.cast::<KnownBrokers>()).ended(client);
        }
    }
    Raw::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Notes that a broker's connection has changed its state. librdkafka calls this in the broker's
/// own thread, except once: when it adds the broker, it calls this in another thread, and the
/// broker is not up then.
unsafe extern "C" fn on_state_change(
    _: *mut sys::rd_kafka_t,
    _: i32,
    _: *const c_char,
    name: *const c_char,
    _: c_int,
    state: *const c_char,
    opaque: *mut c_void,
) -> Raw {
    // SAFETY: librdkafka calls this with strings, and with what `watch` gave.
    unsafe {
        // A broker without a name is internal to the client, and always up.
        if !CStr::from_ptr(name).is_empty() {
            (*opaque.cast::<KnownBrokers>()).has_state(CStr::from_ptr(state));
        }
    }
    Raw::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Returns whether the thread belongs to a broker that is counted.
///
/// # Safety
/// `name` is a string.
unsafe fn is_of_broker(kind: sys::rd_kafka_thread_type_t, name: *const c_char) -> bool {
    // SAFETY: by this function's condition.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    kind == sys::rd_kafka_thread_type_t::RD_KAFKA_THREAD_BROKER && !OTHERS.iter().any(|other| name.starts_with(other))
}

#[cfg(test)]
mod tests;
