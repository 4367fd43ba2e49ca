//! A feeder that sends events at a steady rate while the cluster is disturbed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{
    Clock, Destination, NewRecord, Partition, Partitioner, SharedBroker, SystemClock, TopicPartition,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::program::PARTITIONS;
use crate::scene::{eventually, within};

/// The number of keys.
const KEYS: u64 = 40;

/// The time between two sends.
const BEAT: Duration = Duration::from_millis(20);

/// A task that sends events at a steady rate. It catches up after a time in which it could not
/// send.
pub(crate) struct Feeder {
    fed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Feeder {
    /// Starts to send `rate` events a second to `topic`.
    pub(crate) fn start(broker: &SharedBroker, topic: &str, rate: u64) -> Self {
        let (fed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (broker, topic) = (broker.clone(), topic.to_owned());
        let (count, ended) = (fed.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut producer = broker.producer().unwrap();
            let place = |partition| TopicPartition::new(&*topic, partition);
            let homes: Vec<Destination> =
                Partition::all(PARTITIONS).map(|partition| producer.destination(&place(partition)).unwrap()).collect();
            let mut beat = interval(BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let begun = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                beat.tick().await;
                let due = (begun.elapsed().as_millis() as u64 * rate) / 1000;
                let first = count.load(Ordering::Relaxed);
                for number in first..due {
                    let (key, value) = (format!("key-{}", number % KEYS), number.to_string());
                    let home = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
                    let record = NewRecord {
                        // The time is the current one, because a broker that starts forgets
                        // producers whose last records are old.
                        timestamp: SystemClock.now(),
                        key: Some(key.as_bytes()),
                        value: Some(value.as_bytes()),
                        headers: &[],
                    };
                    producer.send(homes[home.get() as usize], record).unwrap();
                }
                // This waits for brokers that are away.
                producer.flush().await.unwrap();
                count.store(due.max(first), Ordering::Relaxed);
            }
        });
        Self { fed, stop, task }
    }

    /// Returns the number of events in the topic.
    pub(crate) fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    /// Waits until `events` more events are in the topic.
    pub(crate) async fn more(&self, events: u64) {
        let until = self.fed() + events;
        eventually("events are fed", async || self.fed() >= until || self.task.is_finished()).await;
        assert!(!self.task.is_finished(), "the feeder has failed");
    }

    /// Stops the feeder, and returns the number of events in the topic.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        within(self.task).await.unwrap();
        self.fed.load(Ordering::Relaxed)
    }
}
