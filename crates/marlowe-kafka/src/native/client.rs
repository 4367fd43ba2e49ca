//! A librdkafka client: how it is created, polled, asked for metadata and destroyed.

use std::ffi::{CStr, CString, c_int};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::BrokerError;
use rdkafka::bindings as sys;
use rdkafka::config::NativeClientConfig;
use tokio::time::Instant;

use super::code::{Code, Failure};
use super::configuration::Configuration;
use super::known_brokers::KnownBrokers;
use super::observer::{self, Observer, Opaque, Unobserved};
use super::partitions::Places;

/// The purpose of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Producer,
    /// Reads partitions that it is given, and looks up offsets.
    Consumer,
    /// Is a member of a group, and fetches nothing.
    Member,
}

/// A client of the cluster, with its threads and connections.
///
/// Dropping it ends it as a crash would: a member does not leave its group, and a transaction stays
/// open. Another thread destroys the client, because that may take a while.
pub(crate) struct Client {
    ptr: NonNull<sys::rd_kafka_t>,
    opaque: NonNull<Opaque>,
    brokers: Arc<KnownBrokers>,
}

// SAFETY: librdkafka's clients may be used by any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

/// The metadata of a topic, as the cluster reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    /// True if each partition has a leader.
    pub(crate) is_led: bool,
    pub(crate) error: Option<Code>,
}

/// The metadata of the cluster, as it reports it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterMetadata {
    /// The brokers' ids.
    pub(crate) brokers: Vec<i32>,
    pub(crate) topics: Vec<TopicMetadata>,
}

impl Client {
    /// Creates a client that has no observer.
    ///
    /// # Errors
    /// [`BrokerError::InvalidState`] when a setting is refused.
    pub(crate) fn new(kind: Kind, configuration: &Configuration) -> Result<Arc<Self>, BrokerError> {
        Self::observed(kind, configuration, Arc::new(Unobserved))
    }

    /// Creates a client that tells `observer` what happens in it.
    ///
    /// # Errors
    /// [`BrokerError::InvalidState`] when a setting is refused.
    pub(crate) fn observed(
        kind: Kind,
        configuration: &Configuration,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, BrokerError> {
        Self::of(kind, configuration, configuration.build()?, observer)
    }

    /// Creates a client from `native`, which was built from `configuration`.
    fn of(
        kind: Kind,
        configuration: &Configuration,
        native: NativeClientConfig,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, BrokerError> {
        let conf = native.ptr();
        let opaque = NonNull::from(Box::leak(Box::new(observer)));
        let brokers = KnownBrokers::new(configuration.value("bootstrap.servers").unwrap_or_default());
        // SAFETY: this function owns the configuration until `rd_kafka_new` is called, and does not
        // use it after that. The opaque and the brokers live until the client is destroyed.
        unsafe {
            brokers.watch(conf);
            sys::rd_kafka_conf_set_opaque(conf, opaque.as_ptr().cast());
            sys::rd_kafka_conf_set_log_cb(conf, Some(observer::on_log));
            sys::rd_kafka_conf_set_error_cb(conf, Some(observer::on_error));
            let native_kind = match kind {
                Kind::Producer => {
                    sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(observer::on_delivery));
                    sys::rd_kafka_type_t::RD_KAFKA_PRODUCER
                }
                Kind::Member => {
                    sys::rd_kafka_conf_set_rebalance_cb(conf, Some(observer::on_rebalance));
                    sys::rd_kafka_type_t::RD_KAFKA_CONSUMER
                }
                Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            };
            let mut text = [0 as std::ffi::c_char; 512];
            let ptr = sys::rd_kafka_new(native_kind, conf, text.as_mut_ptr(), text.len());
            // If there is a client, librdkafka owns the configuration now. If there is none, the
            // configuration must not be destroyed: librdkafka before 2.13 has already freed the
            // interceptors in it, and would free them again (its issue 4142). So a configuration
            // that is refused leaks.
            std::mem::forget(native);
            let Some(ptr) = NonNull::new(ptr) else {
                drop(Box::from_raw(opaque.as_ptr()));
                return Err(configuration.refused(&CStr::from_ptr(text.as_ptr()).to_string_lossy()));
            };
            if kind == Kind::Member {
                sys::rd_kafka_poll_set_consumer(ptr.as_ptr());
            }
            Ok(Arc::new(Self { ptr, opaque, brokers }))
        }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_t {
        self.ptr.as_ptr()
    }

    /// Returns the time since which no broker has answered, or `None` while one does.
    pub(crate) fn unreached_since(&self) -> Option<Instant> {
        self.brokers.unreached_since()
    }

    /// Serves the events of a producer or a plain consumer to its observer. Waits for one at most
    /// `within`.
    pub(crate) fn serve(&self, within: Duration) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_poll(self.as_ptr(), millis(within)) };
    }

    /// Serves the events of a member to its observer. Waits for one at most `within`. An error
    /// concerns the whole member.
    pub(crate) fn serve_member(&self, within: Duration) -> Result<(), Code> {
        // SAFETY: the client is alive; the message is destroyed once.
        unsafe {
            let message = sys::rd_kafka_consumer_poll(self.as_ptr(), millis(within));
            if message.is_null() {
                return Ok(());
            }
            let code = Code((*message).err);
            sys::rd_kafka_message_destroy(message);
            if code == Code::NONE { Ok(()) } else { Err(code) }
        }
    }

    /// Returns the fatal error of the client, if it has one. Such a client is no longer usable.
    pub(crate) fn fatal(&self) -> Option<Failure> {
        let mut text = [0 as std::ffi::c_char; 512];
        // SAFETY: the client is alive, and the text has the length that is passed.
        let (code, reason) = unsafe {
            let code = sys::rd_kafka_fatal_error(self.as_ptr(), text.as_mut_ptr(), text.len());
            (Code(code), CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned())
        };
        (code != Code::NONE).then(|| Failure { reason, ..Failure::of(code) })
    }

    /// Asks the cluster for the metadata of a topic, or of all topics.
    pub(crate) fn metadata(&self, topic: Option<&str>, within: Duration) -> Result<ClusterMetadata, Failure> {
        let name = topic.and_then(|topic| CString::new(topic).ok());
        // SAFETY: the client is alive. Its answer is read before it is destroyed, and the arrays of
        // the answer have the lengths that it says.
        unsafe {
            let handle = match &name {
                Some(name) => sys::rd_kafka_topic_new(self.as_ptr(), name.as_ptr(), std::ptr::null_mut()),
                None => std::ptr::null_mut(),
            };
            let mut metadata = std::ptr::null();
            let all = c_int::from(topic.is_none());
            let code = Code(sys::rd_kafka_metadata(self.as_ptr(), all, handle, &mut metadata, millis(within)));
            if !handle.is_null() {
                sys::rd_kafka_topic_destroy(handle);
            }
            if code != Code::NONE {
                return Err(Failure::of(code));
            }
            let read = |topic: &sys::rd_kafka_metadata_topic| {
                let partitions = slice(topic.partitions, topic.partition_cnt);
                TopicMetadata {
                    name: CStr::from_ptr(topic.topic).to_string_lossy().into_owned(),
                    partitions: partitions.len() as u32,
                    is_led: !partitions.is_empty() && partitions.iter().all(|partition| partition.leader >= 0),
                    error: Some(Code(topic.err)).filter(|code| *code != Code::NONE),
                }
            };
            let topics = slice((*metadata).topics, (*metadata).topic_cnt).iter().map(read).collect();
            let brokers = slice((*metadata).brokers, (*metadata).broker_cnt).iter().map(|broker| broker.id).collect();
            sys::rd_kafka_metadata_destroy(metadata);
            Ok(ClusterMetadata { brokers, topics })
        }
    }

    /// Writes into `places` the offsets that they ask for: of a time, the earliest or the latest.
    pub(crate) fn offsets(&self, places: &Places, within: Duration) -> Result<(), Failure> {
        // SAFETY: client and list are alive.
        Code::check(unsafe { sys::rd_kafka_offsets_for_times(self.as_ptr(), places.as_ptr(), millis(within)) })
    }

    /// Writes into `places` the committed positions of the group that the client was configured
    /// for.
    pub(crate) fn committed(&self, places: &Places, within: Duration) -> Result<(), Failure> {
        // SAFETY: client and list are alive.
        Code::check(unsafe { sys::rd_kafka_committed(self.as_ptr(), places.as_ptr(), millis(within)) })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        /// The parts of a client that another thread destroys.
        struct Rest(NonNull<sys::rd_kafka_t>, NonNull<Opaque>, *const KnownBrokers);

        // SAFETY: a client may be destroyed by any thread, and so may its observer.
        unsafe impl Send for Rest {}

        impl Rest {
            fn end(self) {
                // SAFETY: nothing else uses the client any more. The observer and the brokers are
                // freed after the last call to them.
                unsafe {
                    let brokers = Arc::from_raw(self.2);
                    brokers.end();
                    // Purge before destroy. While librdkafka destroys a client, it frees the error
                    // of its transaction before it ends the threads that read the brokers' answers.
                    // An answer that arrives in between would free the error a second time. So the
                    // records that a producer has queued or in flight are taken back first.
                    sys::rd_kafka_purge(
                        self.0.as_ptr(),
                        (sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT) as c_int,
                    );
                    sys::rd_kafka_destroy_flags(self.0.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
                    drop(Box::from_raw(self.1.as_ptr()));
                }
            }
        }

        let rest = Rest(self.ptr, self.opaque, Arc::into_raw(self.brokers.clone()));
        // If no thread can be started, the client leaks. That is the lesser evil.
        let _ = std::thread::Builder::new().name("kafka-end".into()).spawn(move || rest.end());
    }
}

/// Returns the `count` elements from `start` on, or no elements if `start` is null.
///
/// # Safety
/// `start` is null, or points to `count` elements that live for as long as `'a`.
pub(super) unsafe fn slice<'a, T>(start: *const T, count: c_int) -> &'a [T] {
    if start.is_null() || count <= 0 {
        return &[];
    }
    // SAFETY: by this function's condition.
    unsafe { std::slice::from_raw_parts(start, count as usize) }
}

pub(super) fn millis(duration: Duration) -> c_int {
    duration.as_millis().min(c_int::MAX as u128) as c_int
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use marlowe_broker::NewRecord;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use sys::rd_kafka_resp_err_t as Raw;

    use super::*;
    use crate::KafkaConfig;
    use crate::native::Topic;

    #[test]
    fn a_client_that_is_refused_frees_nothing_twice() {
        let settings = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "NONE-SUCH")];
        let config =
            settings.into_iter().fold(KafkaConfig::new("127.0.0.1:1"), |config, (name, value)| config.set(name, value));
        let configuration = Configuration::new(&config, &[]);
        for _ in 0..100 {
            let Err(refused) = Client::new(Kind::Producer, &configuration) else { panic!("it was taken") };
            assert!(refused.to_string().contains("NONE-SUCH"), "{refused}");
        }
    }

    /// The delay of a client that ends, after it has freed what belongs to its transaction.
    const HELD_UP: Duration = Duration::from_millis(200);

    unsafe extern "C" fn on_new(
        client: *mut sys::rd_kafka_t,
        _: *const sys::rd_kafka_conf_t,
        _: *mut c_void,
        _: *mut std::ffi::c_char,
        _: usize,
    ) -> Raw {
        // SAFETY: librdkafka calls this with the client that it makes.
        unsafe {
            sys::rd_kafka_interceptor_add_on_destroy(client, c"test".as_ptr(), Some(on_destroy), std::ptr::null_mut())
        }
    }

    unsafe extern "C" fn on_destroy(_: *mut sys::rd_kafka_t, _: *mut c_void) -> Raw {
        std::thread::park_timeout(HELD_UP);
        Raw::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Lets one broker say that the producer is fenced, and another one say so while the client
    /// ends.
    #[test]
    fn a_producer_that_is_fenced_while_it_ends_frees_nothing_twice() {
        const WITHIN: Duration = Duration::from_secs(30);
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("events", 2, 1).unwrap();
        for number in 0..5 {
            let configuration = Configuration::new(&KafkaConfig::new(cluster.bootstrap_servers()), &[])
                .set("transactional.id", format!("id-{number}"));
            let native = configuration.build().unwrap();
            // SAFETY: the configuration is alive.
            unsafe {
                let name = c"test".as_ptr();
                sys::rd_kafka_conf_interceptor_add_on_new(native.ptr(), name, Some(on_new), std::ptr::null_mut());
            }
            let client = Client::of(Kind::Producer, &configuration, native, Arc::new(Unobserved)).unwrap();
            client.init_transactions(WITHIN).unwrap();
            client.begin_transaction().unwrap();
            let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH; 2];
            cluster.request_errors(RDKafkaApiKey::Produce, &fenced);
            cluster.broker_round_trip_time(1, HELD_UP / 10).unwrap();
            cluster.broker_round_trip_time(2, HELD_UP / 2).unwrap();
            let topic = Topic::new(&client, "events").unwrap();
            for partition in 0..2 {
                let timestamp = marlowe_broker::Timestamp::from_millis(1);
                let record = NewRecord { timestamp, key: None, value: Some(b"value"), headers: &[] };
                client.produce(&topic, partition, &record, 0).unwrap();
            }
            let begun = Instant::now();
            while client.fatal().is_none() {
                assert!(begun.elapsed() < WITHIN, "it is never told that it is fenced");
                client.serve(Duration::from_millis(1));
            }
            drop((topic, client));
            // Another thread destroys the client.
            std::thread::park_timeout(HELD_UP * 2);
            cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
            cluster.broker_round_trip_time(2, Duration::ZERO).unwrap();
        }
    }
}
