//! A client's handle of a topic.

use std::ffi::CString;
use std::sync::Arc;

use rdkafka::bindings as sys;

use super::client::Client;
use super::code::{Code, Failure};

/// A client's handle of a topic.
pub(crate) struct Topic {
    ptr: *mut sys::rd_kafka_topic_t,
    client: Arc<Client>,
}

// SAFETY: librdkafka's topic handles may be used by any thread.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    pub(crate) fn new(client: &Arc<Client>, name: &str) -> Result<Self, Failure> {
        let Ok(name) = CString::new(name) else { return Err(Failure::of(Code::NO_OFFSET)) };
        // SAFETY: the client is alive, and the name is a string.
        let ptr = unsafe { sys::rd_kafka_topic_new(client.as_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        if ptr.is_null() { Err(Failure::of(Code::last())) } else { Ok(Self { ptr, client: client.clone() }) }
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_t {
        self.ptr
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it is destroyed once, and before its client.
        unsafe { sys::rd_kafka_topic_destroy(self.ptr) };
    }
}
