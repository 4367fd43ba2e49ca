//! A producing client, and the results of the records that it was given.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe_broker::{BrokerError, Destination, Offset, RecordLimit, TopicPartition, Written};
use parking_lot::Mutex;

use crate::cluster::Cluster;
use crate::native::{Client, Code, Configuration, Failure, Kind, Observer, Topic};
use crate::outgoing::Outgoing;

/// The length of one wait of a writer, after which it looks whether its work is still wanted.
pub(crate) const STEP: Duration = Duration::from_secs(1);

/// A producing client, for the thread that does its work.
pub(crate) struct Writer {
    pub(crate) client: Arc<Client>,
    deliveries: Arc<Deliveries>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
    by_destination: Vec<Arc<Topic>>,
}

/// The results of records, by destination.
#[derive(Default)]
struct Deliveries(Mutex<Delivered>);

#[derive(Default)]
struct Delivered {
    /// The offset after the last record of each destination, or 0.
    ends: Vec<u64>,
    /// The number of records that were delivered.
    count: usize,
    failed: Option<(usize, Code)>,
}

impl Observer for Deliveries {
    fn delivered(&self, tag: usize, offset: i64, error: Option<Code>) {
        let mut delivered = self.0.lock();
        match error {
            Some(code) => {
                // While a client is in use, only the handle of a partition can be destroyed. The
                // partition no longer exists then.
                let code = if code == Code::DESTROYED { Code::UNKNOWN_PARTITION } else { code };
                // When a transaction is given up because of one record, the other records fail too.
                // The record that failed for good is the cause.
                let is_cause = code.is_for_good() && !delivered.failed.is_some_and(|(_, first)| first.is_for_good());
                if is_cause || delivered.failed.is_none() {
                    delivered.failed = Some((tag, code));
                }
            }
            None => {
                delivered.count += 1;
                if delivered.ends.len() <= tag {
                    delivered.ends.resize(tag + 1, 0);
                }
                let end = &mut delivered.ends[tag];
                *end = (*end).max(offset.max(0) as u64 + 1);
            }
        }
    }
}

impl Writer {
    pub(crate) fn configuration(cluster: &Cluster) -> Configuration {
        const DEFAULTS: [(&str, &str); 5] = [
            // A lane hands over all records of a commit at once.
            ("queue.buffering.max.messages", "10000000"),
            ("queue.buffering.max.kbytes", "2097151"),
            ("linger.ms", "5"),
            ("sticky.partitioning.linger.ms", "0"),
            // A coordinator refuses a transaction until the markers of the last one are written,
            // which takes a few milliseconds. The backoff doubles with each attempt.
            ("retry.backoff.ms", "5"),
        ];
        Configuration::new(&cluster.config, &DEFAULTS).set("enable.idempotence", "true")
    }

    pub(crate) fn open(configuration: &Configuration) -> Result<Self, BrokerError> {
        let deliveries = Arc::new(Deliveries::default());
        let client = Client::observed(Kind::Producer, configuration, deliveries.clone())?;
        Ok(Self { client, deliveries, topics: HashMap::new(), by_destination: Vec::new() })
    }

    /// Returns the largest record, in bytes, that a producer with this cluster's configuration
    /// takes.
    pub(crate) fn record_limit(cluster: &Cluster) -> RecordLimit {
        /// librdkafka's default of `message.max.bytes`.
        const DEFAULT: usize = 1_000_000;
        /// The bytes that librdkafka counts for a record in addition to its own.
        const OVERHEAD: usize = 36;
        let set = cluster.config.settings.get("message.max.bytes").and_then(|limit| limit.parse().ok());
        let bytes = set.unwrap_or(DEFAULT).saturating_sub(OVERHEAD);
        RecordLimit { bytes, setting: "message.max.bytes (--max-message-bytes), and max.message.bytes of the topic" }
    }

    /// Hands over the records of `outgoing`, beginning with the one at the index `from`.
    pub(crate) fn produce(
        &mut self,
        outgoing: &Outgoing,
        from: usize,
        destinations: &[TopicPartition],
        wanted: &Wanted,
    ) -> Result<(), (Failure, usize)> {
        for at in &destinations[self.by_destination.len()..] {
            let topic = match self.topics.get(&at.topic) {
                Some(topic) => topic.clone(),
                None => {
                    let tag = self.by_destination.len();
                    let topic = Topic::new(&self.client, &at.topic).map_err(|failure| (failure, tag))?;
                    let topic = Arc::new(topic);
                    self.topics.insert(at.topic.clone(), topic.clone());
                    topic
                }
            };
            self.by_destination.push(topic);
        }
        outgoing.try_for_each_from(from, |to, record| {
            let to = to.0 as usize;
            let (topic, partition) = (&self.by_destination[to], destinations[to].partition.get());
            loop {
                match self.client.produce(topic, partition, record, to) {
                    // There is room again when some of the records are delivered.
                    Err(failure) if failure.code == Code::QUEUE_FULL && wanted.is_wanted() => {
                        self.client.serve(Duration::from_millis(10));
                    }
                    produced => return produced.map_err(|failure| (failure, to)),
                }
            }
        })
    }

    /// Returns where records were written since the last call, or the first record that failed.
    pub(crate) fn written(&self) -> Result<Written, (Code, usize)> {
        let mut delivered = self.deliveries.0.lock();
        let Delivered { ends, failed, .. } = std::mem::take(&mut *delivered);
        if let Some((tag, code)) = failed {
            return Err((code, tag));
        }
        let ends = (0..).map(Destination).zip(ends);
        Ok(Written { ends: ends.filter(|(_, end)| *end > 0).map(|(to, end)| (to, Offset::new(end))).collect() })
    }

    /// Returns whether at least `count` records were delivered since the results were last taken or
    /// forgotten, and none failed.
    pub(crate) fn has_delivered(&self, count: usize) -> bool {
        let delivered = self.deliveries.0.lock();
        delivered.failed.is_none() && delivered.count >= count
    }

    /// Forgets the results so far.
    pub(crate) fn forget(&self) {
        *self.deliveries.0.lock() = Delivered::default();
    }
}

/// A flag that says whether the work of a thread is still wanted. Nobody waits for what a crashed
/// lane has begun.
#[derive(Clone)]
pub(crate) struct Wanted(Arc<AtomicBool>);

/// A guard of a [`Wanted`]. When it is dropped, the work is no longer wanted.
pub(crate) struct Wants(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn new() -> (Wants, Self) {
        let flag = Arc::new(AtomicBool::new(true));
        (Wants(flag.clone()), Self(flag))
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Wants {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Returns the error for a record that could not be written.
pub(crate) fn undelivered(cluster: &Cluster, code: Code, at: &TopicPartition) -> BrokerError {
    if code.is_too_large() {
        // The client accepted the record, so it is too large only for the topic.
        return BrokerError::TooLargeForTopic { topic: at.topic.clone() };
    }
    if code.is_refused_record() {
        return BrokerError::RecordRefused { topic: at.topic.clone(), reason: refusal(code) };
    }
    cluster.attempt("writing").failed_at(&code.into(), at)
}

/// Returns why the brokers refuse a record for good, and what to do if that is known.
fn refusal(code: Code) -> String {
    let advice = if code == Code::INVALID_TIMESTAMP {
        "; its timestamp is further from the broker's clock than the topic's message.timestamp.after.max.ms (Kafka's \
         default: 1 h) or message.timestamp.before.max.ms allows: correct the timestamp, or raise the setting"
    } else {
        ""
    };
    format!("{code}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers records that wait in librdkafka's handle of a partition. They are returned with the
    /// handle when the topic is deleted.
    #[test]
    fn a_record_whose_partition_went_away_has_no_topic() {
        let deliveries = Deliveries::default();
        deliveries.delivered(3, -1, Some(Code::DESTROYED));
        let failed = deliveries.0.lock().failed;
        assert!(failed.is_some_and(|(tag, code)| tag == 3 && code.is_unknown_topic()));
    }
}
