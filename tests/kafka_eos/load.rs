//! Input that comes while workers are started, stopped and crashed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe_broker::{NewRecord, Partition, Partitioner, Timestamp, TopicPartition};
use tokio::task::JoinHandle;

use crate::place::{PARTITIONS, Place, TestResult};

/// The number of records that are sent at a time.
const AT_A_TIME: usize = 20;
/// The pause between two sends.
const EVERY: Duration = Duration::from_millis(40);

/// A task that sends records.
pub(crate) struct Load {
    ended: Arc<AtomicBool>,
    sending: JoinHandle<Result<u64, marlowe_broker::BrokerError>>,
}

impl Load {
    /// Begins to send `records` to the topic `data`.
    pub(crate) fn begin(
        place: &Place,
        records: impl IntoIterator<Item = (String, i64), IntoIter: Send> + Send + 'static,
    ) -> Self {
        let (broker, topic) = (place.broker.clone(), place.topic("data"));
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let mut records = records.into_iter();
        let sending = tokio::spawn(async move {
            let mut producer = broker.producer()?;
            let mut sent = 0;
            while !end.load(Ordering::Relaxed) {
                let before = sent;
                for (key, number) in records.by_ref().take(AT_A_TIME) {
                    let home = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
                    let to = producer.destination(&TopicPartition::new(&*topic, home))?;
                    let (key, value) = (key.as_bytes(), number.to_string());
                    let (key, value) = (Some(key), Some(value.as_bytes()));
                    producer
                        .send(to, NewRecord { timestamp: Timestamp::from_millis(1000), key, value, headers: &[] })?;
                    sent += 1;
                }
                producer.flush().await?;
                if before == sent {
                    break;
                }
                tokio::time::sleep(EVERY).await;
            }
            Ok(sent)
        });
        Self { ended, sending }
    }

    /// Stops sending, and returns how many records were sent.
    pub(crate) async fn end(self) -> TestResult<u64> {
        self.ended.store(true, Ordering::Relaxed);
        Ok(self.sending.await??)
    }

    /// Waits until all records are sent, and returns how many there were.
    pub(crate) async fn all(self) -> TestResult<u64> {
        Ok(self.sending.await??)
    }
}

/// Returns endless numbers under 40 keys, each number once and in no order.
pub(crate) fn numbers() -> impl Iterator<Item = (String, i64)> + Send + 'static {
    (0..).map(|count: i64| (format!("key-{}", count % 40), (count * 7919) % 1_000_003))
}

/// Returns a key whose home is `partition`.
pub(crate) fn key_of(partition: Partition) -> String {
    let home = |key: &String| Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS) == partition;
    (0..).map(|number| format!("partition-{number}")).find(home).expect("there are many keys")
}
