use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord};

use crate::PeersResult;
use crate::event::{Draw, Event, Events};
use crate::kafka::{Batches, Cleanup, Kafka, PARTITIONS, flush, producer, send};

/// How often a steady sender sends.
const EVERY: Duration = Duration::from_millis(2);

/// Which events are in a topic: what must be counted follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Feed {
    pub(crate) keys: u64,
    pub(crate) draw: Draw,
    pub(crate) seed: u64,
    pub(crate) count: u64,
    /// How many partitions its topic has.
    pub(crate) partitions: i32,
}

impl Feed {
    /// So many events of uniformly random keys.
    pub(crate) fn new(keys: u64, seed: u64, count: u64) -> Self {
        Self { keys, draw: Draw::Uniform, seed, count, partitions: PARTITIONS }
    }

    /// Its events.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        Events::drawn(self.draw, self.keys, self.seed).take(self.count as usize)
    }
}

/// The topics of events that are there: each is loaded once, for all systems and rounds.
pub(crate) struct Topics {
    batches: Batches,
    loaded: HashSet<Feed>,
}

impl Topics {
    /// None yet; their records will be in such batches.
    pub(crate) fn new(batches: Batches) -> Self {
        Self { batches, loaded: HashSet::new() }
    }

    /// The name of the topic that has the feed, which is loaded if it is not there.
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

/// Sends events to a topic.
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

/// Sends one event to every partition of a topic, and tells which.
pub(crate) fn touch(kafka: &Kafka, topic: &str, keys: u64) -> PeersResult<Vec<Event>> {
    let producer = producer(&kafka.brokers(), Batches::Early)?;
    let mut sent = Vec::new();
    let mut events = Events::new(keys, u64::from(u32::MAX));
    let before = kafka.ends(topic)?;
    // The partitioner is Kafka's: which keys it sends where shows in the ends.
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

/// Sends events at a steady rate, in a thread of its own.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<PeersResult<u64>>,
}

impl Steady {
    /// Begins to send `rate` events a second of a feed without an end.
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

    /// Stops, and tells how many it sent.
    pub(crate) fn stop(self) -> PeersResult<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the sender panicked")?
    }
}

/// The time, in microseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}
