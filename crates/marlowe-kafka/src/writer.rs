use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe_broker::{BrokerError, Destination, Offset, RecordLimit, TopicPartition, Written};
use parking_lot::Mutex;

use crate::cluster::Cluster;
use crate::native::{Client, Code, Configuration, Failure, Kind, Observer, Topic};
use crate::outgoing::Outgoing;

/// How long one wait of a writer is, before it looks whether anyone still wants it.
pub(crate) const STEP: Duration = Duration::from_secs(1);

/// A producing client, for the thread that does its work.
pub(crate) struct Writer {
    pub(crate) client: Arc<Client>,
    deliveries: Arc<Deliveries>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
    by_destination: Vec<Arc<Topic>>,
}

/// What became of records, by destination.
#[derive(Default)]
struct Deliveries(Mutex<Delivered>);

#[derive(Default)]
struct Delivered {
    /// The offset after the last record of each destination, or 0.
    ends: Vec<u64>,
    /// How many went well.
    count: usize,
    failed: Option<(usize, Code)>,
}

impl Observer for Deliveries {
    fn delivered(&self, tag: usize, offset: i64, error: Option<Code>) {
        let mut delivered = self.0.lock();
        match error {
            Some(code) => {
                // Of a client that is in use only a partition's handle is destroyed: the partition is there no more.
                let code = if code == Code::DESTROYED { Code::UNKNOWN_PARTITION } else { code };
                // Of a transaction that is given up, the other records fail for it.
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
        const DEFAULTS: [(&str, &str); 4] = [
            // A lane hands over all of a commit at once.
            ("queue.buffering.max.messages", "10000000"),
            ("queue.buffering.max.kbytes", "2097151"),
            ("linger.ms", "5"),
            ("sticky.partitioning.linger.ms", "0"),
        ];
        Configuration::new(&cluster.config, &DEFAULTS).set("enable.idempotence", "true")
    }

    pub(crate) fn open(configuration: &Configuration) -> Result<Self, BrokerError> {
        let deliveries = Arc::new(Deliveries::default());
        let client = Client::observed(Kind::Producer, configuration, deliveries.clone())?;
        Ok(Self { client, deliveries, topics: HashMap::new(), by_destination: Vec::new() })
    }

    /// The largest record that a producer of this cluster's configuration takes.
    pub(crate) fn record_limit(cluster: &Cluster) -> RecordLimit {
        /// librdkafka's default, and what it counts for a record besides its bytes.
        const DEFAULT: usize = 1_000_000;
        const OVERHEAD: usize = 36;
        let set = cluster.config.settings.get("message.max.bytes").and_then(|limit| limit.parse().ok());
        let bytes = set.unwrap_or(DEFAULT).saturating_sub(OVERHEAD);
        RecordLimit { bytes, setting: "message.max.bytes (--max-message-bytes), and max.message.bytes of the topic" }
    }

    /// Hands over the records of `outgoing` from `from` on.
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
        for index in from..outgoing.len() {
            loop {
                let produced = outgoing.lend(index, |to, record| {
                    let (topic, partition) = (&self.by_destination[to], destinations[to].partition.get());
                    self.client.produce(topic, partition, record, to).map_err(|failure| (failure, to))
                });
                match produced {
                    // There is more room when some of it has gone.
                    Err((failure, _)) if failure.code == Code::QUEUE_FULL && wanted.is_wanted() => {
                        self.client.serve(Duration::from_millis(10));
                    }
                    Err(failed) => return Err(failed),
                    Ok(()) => break,
                }
            }
        }
        Ok(())
    }

    /// Where records went since the last time, or the first that went nowhere.
    pub(crate) fn written(&self) -> Result<Written, (Code, usize)> {
        let mut delivered = self.deliveries.0.lock();
        let Delivered { ends, failed, .. } = std::mem::take(&mut *delivered);
        if let Some((tag, code)) = failed {
            return Err((code, tag));
        }
        let ends = (0..).map(Destination).zip(ends);
        Ok(Written { ends: ends.filter(|(_, end)| *end > 0).map(|(to, end)| (to, Offset::new(end))).collect() })
    }

    /// Whether as many records as that were delivered since the last time, and none failed.
    pub(crate) fn has_delivered(&self, count: usize) -> bool {
        let delivered = self.deliveries.0.lock();
        delivered.failed.is_none() && delivered.count >= count
    }

    /// Forgets what became of records so far.
    pub(crate) fn forget(&self) {
        *self.deliveries.0.lock() = Delivered::default();
    }
}

/// Whether the work of a thread is still wanted: nobody waits for what a crashed lane began.
#[derive(Clone)]
pub(crate) struct Wanted(Arc<AtomicBool>);

/// Says so when it is dropped.
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

/// What a record that could not be written is told as.
pub(crate) fn undelivered(cluster: &Cluster, code: Code, at: &TopicPartition) -> BrokerError {
    if code.is_too_large() {
        // For the client it was not.
        return BrokerError::TooLargeForTopic { topic: at.topic.clone() };
    }
    if code.is_refused_record() {
        return BrokerError::RecordRefused { topic: at.topic.clone(), reason: refusal(code) };
    }
    cluster.attempt("writing").failed_at(&code.into(), at)
}

/// Tells why the brokers refuse a record for good, and what to do where that is known.
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

    /// Records that wait in librdkafka's handle of a partition are given back with it when the topic is deleted.
    #[test]
    fn a_record_whose_partition_went_away_has_no_topic() {
        let deliveries = Deliveries::default();
        deliveries.delivered(3, -1, Some(Code::DESTROYED));
        let failed = deliveries.0.lock().failed;
        assert!(failed.is_some_and(|(tag, code)| tag == 3 && code.is_unknown_topic()));
    }
}
