//! Feeds of events: how they are loaded into topics, or sent at a steady rate.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord};

use crate::PeersResult;
use crate::event::{Draw, Event, Events};
use crate::kafka::{Batches, Cleanup, Kafka, PARTITIONS, flush, producer, send};

/// The time between two sends of a steady sender.
const EVERY: Duration = Duration::from_millis(2);

/// The events of a topic. The expected counts follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Feed {
    pub(crate) keys: u64,
    pub(crate) draw: Draw,
    pub(crate) seed: u64,
    pub(crate) count: u64,
    /// The number of partitions of the topic.
    pub(crate) partitions: i32,
}

impl Feed {
    /// Returns a feed of `count` events with uniformly random keys.
    pub(crate) fn new(keys: u64, seed: u64, count: u64) -> Self {
        Self { keys, draw: Draw::Uniform, seed, count, partitions: PARTITIONS }
    }

    /// Returns the events of the feed.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        Events::drawn(self.draw, self.keys, self.seed).take(self.count as usize)
    }
}

/// The topics that are loaded with events. Each is loaded once, for all systems and rounds.
pub(crate) struct Topics {
    batches: Batches,
    loaded: HashSet<Feed>,
}

impl Topics {
    /// Creates an empty set of topics. Their records will be sent in `batches`.
    pub(crate) fn new(batches: Batches) -> Self {
        Self { batches, loaded: HashSet::new() }
    }

    /// Returns the name of the topic that holds `feed`. Loads the topic first, if necessary.
    pub(crate) fn of(&mut self, kafka: &Kafka, feed: Feed) -> PeersResult<String> {
        let Feed { keys, draw, seed, count, partitions } = feed;
        let topic = format!("events-{}-{seed}-{keys}-{count}-{partitions}", draw.name());
        if self.loaded.contains(&feed) {
            return Ok(topic);
        }
        kafka.create(&topic, partitions, Cleanup::Delete)?;
        let producer = producer(&kafka.brokers(), self.batches)?;
        let mut sender = Sender::new(&producer, &topic);
        for (number, event) in (0..).zip(feed.events()) {
            sender.send(event, 1_700_000_000_000_000 + number)?;
        }
        flush(&producer)?;
        let there: i64 = kafka.ends(&topic)?.iter().sum();
        if there != count as i64 {
            return Err(format!("`{topic}` has {there} records, and {count} were sent: try again").into());
        }
        self.loaded.insert(feed);
        Ok(topic)
    }
}

/// A sender of events to one topic.
struct Sender<'a> {
    producer: &'a BaseProducer,
    topic: &'a str,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Sender<'a> {
    fn new(producer: &'a BaseProducer, topic: &'a str) -> Self {
        Self { producer, topic, key: Vec::new(), value: Vec::new() }
    }

    fn send(&mut self, event: Event, at: u64) -> PeersResult<()> {
        event.write(at, &mut self.key, &mut self.value);
        send(self.producer, BaseRecord::to(self.topic).key(&self.key[..]).payload(&self.value[..]))
    }
}

/// Sends events until every partition of a topic has received one, and returns the events.
pub(crate) fn touch(kafka: &Kafka, topic: &str, keys: u64) -> PeersResult<Vec<Event>> {
    let producer = producer(&kafka.brokers(), Batches::Early)?;
    let mut sent = Vec::new();
    let mut events = Events::new(keys, u64::from(u32::MAX));
    let before = kafka.ends(topic)?;
    // Kafka's partitioner decides where a key goes, so the ends show which partitions were reached.
    while sent.len() < 1000 {
        let event = events.next().ok_or("there are no more events")?;
        Sender::new(&producer, topic).send(event, now())?;
        flush(&producer)?;
        sent.push(event);
        if kafka.ends(topic)?.iter().zip(&before).all(|(end, before)| end > before) {
            return Ok(sent);
        }
    }
    Err(format!("{PARTITIONS} partitions of `{topic}` are not met by 1000 keys").into())
}

/// A thread that sends events at a steady rate.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<PeersResult<u64>>,
}

impl Steady {
    /// Starts to send `rate` events a second, from a feed without an end.
    pub(crate) fn start(kafka: &Kafka, topic: &str, keys: u64, seed: u64, rate: u64) -> PeersResult<Self> {
        let producer = producer(&kafka.brokers(), Batches::Early)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, topic) = (stop.clone(), topic.to_owned());
        let thread = std::thread::spawn(move || {
            let mut sender = Sender::new(&producer, &topic);
            let (begun, mut sent) = (Instant::now(), 0);
            let mut events = Events::new(keys, seed);
            while !stopped.load(Ordering::Relaxed) {
                let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
                while sent < due {
                    let event = events.next().ok_or("there are no more events")?;
                    sender.send(event, now())?;
                    sent += 1;
                    if sent % 100 == 0 && stopped.load(Ordering::Relaxed) {
                        break;
                    }
                }
                producer.poll(Duration::ZERO);
                std::thread::sleep(EVERY);
            }
            flush(&producer)?;
            Ok(sent)
        });
        Ok(Self { stop, thread })
    }

    /// Stops, and returns the number of events that were sent.
    pub(crate) fn stop(self) -> PeersResult<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the sender panicked")?
    }
}

/// Returns the time, in microseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}
