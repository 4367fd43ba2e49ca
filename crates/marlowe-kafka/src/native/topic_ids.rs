//! Lookups of the ids of topics, with Kafka's `DescribeTopics`.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::bindings as sys;

use super::client::{Client, millis};
use super::code::{Code, Failure};

impl Client {
    /// Returns the ids of those topics that exist, by name, as some broker knows them. A topic
    /// never has the id of an earlier topic of its name.
    pub(crate) fn topic_ids(&self, topics: &[&str], within: Duration) -> Result<HashMap<String, String>, Failure> {
        self.topic_ids_of(None, topics, within)
    }

    /// Returns the id of a topic as this broker knows it, or `None` if it knows no such topic.
    pub(crate) fn topic_id_at(&self, broker: i32, topic: &str, within: Duration) -> Result<Option<String>, Failure> {
        Ok(self.topic_ids_of(Some(broker), &[topic], within)?.remove(topic))
    }

    fn topic_ids_of(
        &self,
        broker: Option<i32>,
        topics: &[&str],
        within: Duration,
    ) -> Result<HashMap<String, String>, Failure> {
        let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
        let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the client is alive. librdkafka copies the names. The queue, the options and the
        // event are destroyed once, and what the event holds is read before that.
        unsafe {
            let queue = sys::rd_kafka_queue_new(self.as_ptr());
            let options = sys::rd_kafka_AdminOptions_new(
                self.as_ptr(),
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            );
            sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(within), std::ptr::null_mut(), 0);
            if let Some(broker) = broker {
                sys::rd_kafka_AdminOptions_set_broker(options, broker, std::ptr::null_mut(), 0);
            }
            let asked = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            sys::rd_kafka_DescribeTopics(self.as_ptr(), asked, options, queue);
            // librdkafka answers in the time of the options, with an error if necessary.
            let event = sys::rd_kafka_queue_poll(queue, millis(within + Duration::from_secs(1)));
            let read = read(event);
            if !event.is_null() {
                sys::rd_kafka_event_destroy(event);
            }
            sys::rd_kafka_TopicCollection_destroy(asked);
            sys::rd_kafka_AdminOptions_destroy(options);
            sys::rd_kafka_queue_destroy(queue);
            read
        }
    }
}

/// Reads the ids from the answer.
///
/// # Safety
/// `event` is null, or an event that is alive.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<HashMap<String, String>, Failure> {
    if event.is_null() {
        return Err(Failure::of(Code::TIMED_OUT));
    }
    // SAFETY: the event is alive, by this function's condition. What it holds lives as long, and
    // the array has the length that it says.
    unsafe {
        Code::check(sys::rd_kafka_event_error(event))?;
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(Failure::of(Code::TIMED_OUT));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let mut ids = HashMap::new();
        for index in 0..count {
            let topic = *topics.add(index);
            let code = Code(sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic)));
            if code.is_unknown_topic() {
                continue;
            }
            Code::check(code.0)?;
            let text = |text: *const c_char| CStr::from_ptr(text).to_string_lossy().into_owned();
            let id = text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic)));
            ids.insert(text(sys::rd_kafka_TopicDescription_name(topic)), id);
        }
        Ok(ids)
    }
}
