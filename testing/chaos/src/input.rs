//! The input: events with unique numbers, sent in transactions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::Clock;
use marlowe_broker::{
    BrokerError, Destination, NewRecord, Partition, Partitioner, SharedBroker, SystemClock, TopicPartition,
    TransactionalProducer,
};

use crate::chance::Chance;
use crate::program::{EVENTS, Event, PARTITIONS};
use crate::{Result, report::Report};

/// The number of accounts.
const ACCOUNTS: u64 = 300;

/// The sender of events.
pub struct Input {
    broker: SharedBroker,
    chance: Chance,
    producer: Box<dyn TransactionalProducer>,
    next: u64,
}

impl Input {
    /// Opens an input whose events follow from `seed`.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn open(broker: SharedBroker, seed: u64) -> Result<Self> {
        let producer = producer(&broker).await?;
        Ok(Self { broker, chance: Chance::new(seed, 3), producer, next: 0 })
    }

    /// Sends `events` events in a transaction. Their numbers are used up even if it is not
    /// committed.
    ///
    /// # Errors
    /// When the broker refuses the events, or it is unknown whether it took them.
    pub async fn send(&mut self, events: u64) -> Result<(), BrokerError> {
        self.producer.begin()?;
        let destinations: Vec<Destination> = Partition::all(PARTITIONS)
            .map(|partition| self.producer.destination(&TopicPartition::new(EVENTS, partition)))
            .collect::<Result<_, _>>()?;
        for _ in 0..events {
            let account = |number: u64| format!("account-{number}");
            let (key, other) = (account(self.chance.number(0..ACCOUNTS)), account(self.chance.number(0..ACCOUNTS)));
            let event = Event { id: self.next, other, amount: self.chance.number(1..1000) as i64 };
            self.next += 1;
            let value = serde_json::to_vec(&event).map_err(|error| BrokerError::InvalidState(error.to_string()))?;
            let home = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
            let (key, value) = (Some(key.as_bytes()), Some(value.as_slice()));
            let record = NewRecord { timestamp: SystemClock.now(), key, value, headers: &[] };
            self.producer.send(destinations[home.get() as usize], record)?;
        }
        self.producer.commit().await.map(|_| ())
    }

    /// Sends about `rate` events a second until `stop` is set. After a failed transaction, it sends
    /// events with other numbers. `report` counts the failures.
    pub async fn run(mut self, rate: u64, stop: &AtomicBool, sent: &AtomicU64, report: &Report) {
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            beat.tick().await;
            match self.send(rate.div_ceil(10)).await {
                Ok(()) => {
                    sent.fetch_add(rate.div_ceil(10), Ordering::Relaxed);
                }
                Err(error) => {
                    report.tell(&format!("input: {error}"));
                    report.count("input transactions begun again");
                    match producer(&self.broker).await {
                        Ok(producer) => self.producer = producer,
                        Err(error) => report.tell(&format!("input: {error}")),
                    }
                }
            }
        }
    }
}

async fn producer(broker: &SharedBroker) -> Result<Box<dyn TransactionalProducer>, BrokerError> {
    broker.transactional_producer("chaos-input").await
}
