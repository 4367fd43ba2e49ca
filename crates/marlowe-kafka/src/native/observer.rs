//! The events of a client, and the callbacks by which librdkafka reports them.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use rdkafka::bindings as sys;

use super::code::Code;
use super::partitions::{Place, Places};

/// A receiver of a client's events. It is called while the client is polled or flushed, in the
/// thread that does so.
pub(crate) trait Observer: Send + Sync + 'static {
    /// Receives an error that concerns the whole client.
    fn error(&self, _code: Code, _reason: &str) {}

    /// Receives the result of a record, which was delivered or failed. `tag` is the tag that it was
    /// sent with.
    fn delivered(&self, _tag: usize, _offset: i64, _error: Option<Code>) {}

    /// Receives the partitions that the group assigns or takes. The observer must call
    /// [`Client::take_up`] or [`Client::give_up`], now or later.
    ///
    /// [`Client::take_up`]: super::Client::take_up
    /// [`Client::give_up`]: super::Client::give_up
    fn rebalanced(&self, _rebalanced: Rebalanced, _partitions: Vec<Place>) {}
}

/// The effect of a rebalance on partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebalanced {
    Assigned,
    Revoked,
    Lost,
}

/// An observer that ignores all events.
pub(super) struct Unobserved;

impl Observer for Unobserved {}

/// The value that librdkafka passes to the callbacks.
pub(super) type Opaque = Arc<dyn Observer>;

/// Returns the observer that `opaque` points to.
///
/// # Safety
/// `opaque` is the pointer to an [`Opaque`] that the client was created with, and the client is
/// alive.
unsafe fn observer<'a>(opaque: *mut c_void) -> &'a Opaque {
    // SAFETY: by this function's condition.
    unsafe { &*opaque.cast::<Opaque>() }
}

pub(super) unsafe extern "C" fn on_error(
    _: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls this with the client's opaque and a string.
    unsafe {
        let reason = CStr::from_ptr(reason).to_string_lossy();
        observer(opaque).error(Code::numbered(code), &reason);
    }
}

pub(super) unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls this with the client's opaque and a message.
    unsafe {
        let message = &*message;
        let error = Some(Code(message.err)).filter(|code| *code != Code::NONE);
        observer(opaque).delivered(message._private as usize, message.offset, error);
    }
}

pub(super) unsafe extern "C" fn on_rebalance(
    client: *mut sys::rd_kafka_t,
    code: sys::rd_kafka_resp_err_t,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls this with the client, the client's opaque and a list that librdkafka
    // owns.
    unsafe {
        let places = Places::read(partitions);
        let rebalanced = match code {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalanced::Assigned,
            _ if sys::rd_kafka_assignment_lost(client) != 0 => Rebalanced::Lost,
            _ => Rebalanced::Revoked,
        };
        observer(opaque).rebalanced(rebalanced, places);
    }
}

pub(super) unsafe extern "C" fn on_log(
    client: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: librdkafka calls this with strings.
    let (facility, text) =
        unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    // Consumers are given the settings of producers too, and warn that they do not use them.
    let level = if facility == "CONFWARN" { 7 } else { level };
    let name = name_of(client);
    match level {
        0..=3 => tracing::warn!(target: "marlowe_kafka", client = %name, "{facility}: {text}"),
        4 => tracing::info!(target: "marlowe_kafka", client = %name, "{facility}: {text}"),
        _ => tracing::debug!(target: "marlowe_kafka", client = %name, "{facility}: {text}"),
    }
}

/// Returns a client's name, for logs.
fn name_of(client: *const sys::rd_kafka_t) -> String {
    if client.is_null() {
        return String::new();
    }
    // SAFETY: the client is alive while it logs.
    unsafe { CStr::from_ptr(sys::rd_kafka_name(client)).to_string_lossy().into_owned() }
}
