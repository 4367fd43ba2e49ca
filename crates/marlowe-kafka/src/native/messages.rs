//! Messages of a partition, which stay in librdkafka's memory.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use marlowe_broker::{Header, Offset, RecordRef, Timestamp};
use parking_lot::Mutex;
use rdkafka::bindings as sys;

use super::client::Client;
use super::code::Code;

/// Messages of one partition, which librdkafka lends.
pub(crate) struct Messages {
    messages: Vec<*mut sys::rd_kafka_message_t>,
    /// The lock for reading headers. librdkafka parses a message's headers when they are first
    /// read, which changes the message.
    reading_headers: Mutex<()>,
    /// The client, whose memory holds the messages.
    _client: Arc<Client>,
}

// SAFETY: messages may be used and destroyed by any thread. What changes them is under a lock.
unsafe impl Send for Messages {}
// SAFETY: as above.
unsafe impl Sync for Messages {}

/// A message that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The end of the partition was reached. This is the next offset.
    End(i64),
    Error(Code),
}

impl Messages {
    pub(super) fn new(messages: Vec<*mut sys::rd_kafka_message_t>, client: Arc<Client>) -> Self {
        Self { messages, reading_headers: Mutex::new(()), _client: client }
    }

    fn message(&self, index: usize) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointers are to messages that `self` owns until it is dropped.
        unsafe { &*self.messages[index] }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn offset(&self, index: usize) -> i64 {
        self.message(index).offset
    }

    /// Returns the notice that the message is, or `None` if it is a record.
    pub(crate) fn notice(&self, index: usize) -> Option<Notice> {
        let message = self.message(index);
        match Code(message.err) {
            Code::NONE => None,
            Code::END_OF_PARTITION => Some(Notice::End(message.offset)),
            code => Some(Notice::Error(code)),
        }
    }

    /// Drops the messages for which `keep` returns false. `keep` is given the index of each
    /// message.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.messages.retain(|message| {
            let kept = keep(index);
            index += 1;
            if !kept {
                // SAFETY: `self` owns the message, and does not keep it.
                unsafe { sys::rd_kafka_message_destroy(*message) };
            }
            kept
        });
    }

    /// Returns the number of bytes of all keys and values.
    pub(crate) fn size(&self) -> usize {
        (0..self.len()).map(|index| self.message(index)).map(|message| message.len + message.key_len).sum()
    }

    pub(crate) fn record(&self, index: usize) -> RecordRef<'_> {
        let message = self.message(index);
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and its bytes with it.
        unsafe {
            RecordRef {
                offset: Offset::new(message.offset.max(0) as u64),
                timestamp: Timestamp::from_millis(sys::rd_kafka_message_timestamp(message, &mut kind)),
                key: bytes(message.key, message.key_len),
                value: bytes(message.payload, message.len),
            }
        }
    }

    pub(crate) fn headers(&self, index: usize) -> Vec<Header<'_>> {
        let message = self.message(index);
        let mut headers = Vec::new();
        let reading = self.reading_headers.lock();
        // SAFETY: the message is alive, and its headers live as long. Reading them is under the
        // lock.
        unsafe {
            let mut list = std::ptr::null_mut();
            if Code(sys::rd_kafka_message_headers(message, &mut list)) == Code::NONE {
                for place in 0..sys::rd_kafka_header_cnt(list) {
                    let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
                    if Code(sys::rd_kafka_header_get_all(list, place, &mut name, &mut value, &mut size)) != Code::NONE {
                        break;
                    }
                    // Kafka's header names are UTF-8.
                    let Ok(name) = CStr::from_ptr(name).to_str() else { continue };
                    headers.push(Header { name, value: bytes(value, size) });
                }
            }
        }
        drop(reading);
        headers
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: `self` owns each message, and destroys it once.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
    }
}

/// Returns the bytes from `start` on, or `None` if `start` is null.
///
/// # Safety
/// `start` is null, or points to `length` bytes that live for as long as `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by this function's condition.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}
