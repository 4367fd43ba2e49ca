//! Handing a program's records to a producer.

use std::ffi::{c_int, c_void};

use marlowe_broker::NewRecord;
use rdkafka::bindings as sys;

use super::client::Client;
use super::code::{Code, Failure};
use super::topic::Topic;

impl Client {
    /// Hands a record over to librdkafka, which copies its bytes. `tag` is returned with the
    /// record's delivery.
    pub(crate) fn produce(
        &self,
        topic: &Topic,
        partition: u32,
        record: &NewRecord<'_>,
        tag: usize,
    ) -> Result<(), Failure> {
        let bytes = |bytes: Option<&[u8]>| {
            bytes.map_or((std::ptr::null_mut::<c_void>(), 0usize), |bytes| {
                (bytes.as_ptr().cast_mut().cast(), bytes.len())
            })
        };
        let (value, value_length) = bytes(record.value);
        let (key, key_length) = bytes(record.key);
        // SAFETY: client and topic are alive. All bytes are lent for the call, and librdkafka
        // copies them. The arguments are pairs of a kind and a value of that kind, ended by `END`.
        // librdkafka takes the headers over if it takes the record.
        unsafe {
            let headers = if record.headers.is_empty() {
                std::ptr::null_mut()
            } else {
                let headers = sys::rd_kafka_headers_new(record.headers.len());
                for header in record.headers {
                    let (name, size) = (header.name.as_ptr().cast(), header.name.len() as isize);
                    let (value, length) = bytes(header.value);
                    sys::rd_kafka_header_add(headers, name, size, value, length as isize);
                }
                headers
            };
            use sys::rd_kafka_vtype_t as Kind;
            // librdkafka treats 0 as no timestamp, and uses the current time instead. One
            // millisecond after 0 is closer.
            let timestamp = if record.timestamp.millis() == 0 { 1 } else { record.timestamp.millis() };
            let code = Code(sys::rd_kafka_producev(
                self.as_ptr(),
                Kind::RD_KAFKA_VTYPE_RKT,
                topic.as_ptr(),
                Kind::RD_KAFKA_VTYPE_PARTITION,
                partition as c_int,
                Kind::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY as c_int,
                Kind::RD_KAFKA_VTYPE_VALUE,
                value,
                value_length,
                Kind::RD_KAFKA_VTYPE_KEY,
                key,
                key_length,
                Kind::RD_KAFKA_VTYPE_OPAQUE,
                tag as *mut c_void,
                Kind::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp,
                Kind::RD_KAFKA_VTYPE_HEADERS,
                headers,
                Kind::RD_KAFKA_VTYPE_END,
            ));
            if code == Code::NONE {
                return Ok(());
            }
            if !headers.is_null() {
                sys::rd_kafka_headers_destroy(headers);
            }
            Err(Failure::of(code))
        }
    }
}
