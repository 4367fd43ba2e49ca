//! Whatever is done to a broker, in whatever order, it holds what a simple model of it holds.

mod exchange;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use exchange::{HandClock, Read, bound, config, place, read_from, record};
use marlowe_broker::{Broker, Cleanup, CommittedOffset, Offset, OffsetSpec, Producer, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
use proptest::prelude::*;

const TOPICS: [(&str, Cleanup); 2] = [("log", Cleanup::Delete { retention: None }), ("compacted", Cleanup::Compact)];
const PARTITIONS: u32 = 2;

#[derive(Clone, Debug)]
enum Act {
    Write { records: Vec<Sent>, end: End },
    Clean,
    Wait,
    Reopen,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Flush,
    Commit,
    Abort,
}

#[derive(Clone, Debug)]
struct Sent {
    topic: usize,
    partition: u32,
    key: u8,
    value: Option<u16>,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0..TOPICS.len(), 0..PARTITIONS, 0u8..6, prop::option::weighted(0.8, any::<u16>()))
        .prop_map(|(topic, partition, key, value)| Sent { topic, partition, key, value })
}

fn act() -> impl Strategy<Value = Act> {
    let end = prop_oneof![2 => Just(End::Flush), 3 => Just(End::Commit), 1 => Just(End::Abort)];
    prop_oneof![
        8 => (prop::collection::vec(sent(), 0..12), end).prop_map(|(records, end)| Act::Write { records, end }),
        2 => Just(Act::Clean),
        1 => Just(Act::Wait),
        1 => Just(Act::Reopen),
    ]
}

/// The records that were written to a partition, and the offset at which its last batch begins.
#[derive(Default)]
struct Line {
    records: Vec<Read>,
    end: u64,
    last_batch: u64,
    cleaned: bool,
}

#[derive(Default)]
struct Model {
    lines: BTreeMap<(usize, u32), Line>,
    position: Option<CommittedOffset>,
}

impl Model {
    fn write(&mut self, records: &[Sent], marker: bool) {
        let mut written = BTreeMap::<_, Vec<_>>::new();
        for sent in records {
            written.entry((sent.topic, sent.partition)).or_default().push(sent);
        }
        for (at, records) in written {
            let line = self.lines.entry(at).or_default();
            line.last_batch = line.end;
            line.cleaned = false;
            for sent in records {
                let value = sent.value.map(|value| value.to_string());
                line.records.push(Read { offset: line.end, key: sent.key.to_string(), value });
                line.end += 1;
            }
            line.end += u64::from(marker);
        }
    }
}

impl Line {
    /// Checks that `found` has the records that the partition should have from `start` on.
    fn check(&self, found: &[Read], start: u64, compacted: bool) {
        let expected: Vec<&Read> = self.records.iter().filter(|record| record.offset >= start).collect();
        if !compacted {
            assert_eq!(found.iter().collect::<Vec<_>>(), expected);
            return;
        }
        let mut left = expected.iter();
        for record in found {
            assert!(left.any(|expected| *expected == record), "{record:?} was never there, or not in this order");
        }
        let newest: HashMap<&str, u64> = self.records.iter().map(|record| (&*record.key, record.offset)).collect();
        let tail = |record: &&&Read| record.offset >= self.last_batch;
        assert_eq!(
            found.iter().filter(|record| record.offset >= self.last_batch).count(),
            expected.iter().filter(tail).count()
        );
        for record in &expected {
            if newest[&*record.key] == record.offset && record.value.is_some() {
                assert!(found.contains(record), "{record:?} is the last of its key");
            }
        }
        if self.cleaned {
            let before: Vec<_> = self.records.iter().filter(|record| record.offset < self.last_batch).collect();
            let newest: HashMap<&str, u64> = before.iter().map(|record| (&*record.key, record.offset)).collect();
            for record in found.iter().filter(|record| record.offset < self.last_batch) {
                assert_eq!(newest[&*record.key], record.offset, "{record:?} is not the last of its key");
            }
        }
    }
}

async fn send_all<P: Producer + ?Sized>(producer: &mut P, records: &[Sent]) {
    for sent in records {
        let to = producer.destination(&place(TOPICS[sent.topic].0, sent.partition)).unwrap();
        let value = sent.value.map(|value| value.to_string());
        producer.send(to, record(&sent.key.to_string(), value.as_deref(), 0)).unwrap();
    }
}

async fn write(broker: &EmbeddedBroker, model: &mut Model, records: &[Sent], end: End, number: u64) {
    if end == End::Flush {
        let mut producer = broker.producer().unwrap();
        send_all(&mut *producer, records).await;
        producer.flush().await.unwrap();
        return model.write(records, false);
    }
    let member = broker.join(marlowe_broker::GroupConfig::new("group", ["log".into()])).await.unwrap();
    let mut producer = broker.transactional_producer("id").await.unwrap();
    producer.begin().unwrap();
    send_all(&mut *producer, records).await;
    let position = CommittedOffset { offset: Offset::new(number), metadata: format!("after {number}") };
    producer.send_offsets(&[(place("log", 0), position.clone())], &member.metadata().current()).unwrap();
    if end == End::Commit {
        producer.commit().await.unwrap();
        model.write(records, true);
        model.position = Some(position);
    } else {
        producer.abort().await.unwrap();
    }
    member.leave().await.unwrap();
}

async fn check(broker: &EmbeddedBroker, model: &Model, start: u64) {
    for (at, line) in &model.lines {
        let (topic, cleanup) = TOPICS[at.0];
        let from = place(topic, at.1);
        assert_eq!(bound(broker, &from, OffsetSpec::Latest).await, line.end);
        let start = start.min(line.end);
        line.check(&read_from(broker, &from, start).await, start, cleanup == Cleanup::Compact);
        line.check(&read_from(broker, &from, 0).await, 0, cleanup == Cleanup::Compact);
    }
    let committed = broker.committed("group", &[place("log", 0)]).await.unwrap();
    assert_eq!(committed.as_slice(), std::slice::from_ref(&model.position));
}

async fn run(open: impl Fn(EmbeddedConfig) -> EmbeddedBroker, reopens: bool, acts: Vec<Act>, start: u64) {
    let clock = Arc::<HandClock>::default();
    // Limits so small that compaction runs all the time.
    let config = EmbeddedConfig {
        clean_after_bytes: 200,
        cache_bytes: 1000,
        tombstone_retention: Duration::from_secs(60),
        ..config(&clock)
    };
    let mut broker = open(config.clone());
    for (topic, cleanup) in TOPICS {
        broker.create_topic(TopicConfig::new(topic, PARTITIONS).cleanup(cleanup)).await.unwrap();
    }
    let mut model = Model::default();
    for (number, act) in acts.into_iter().enumerate() {
        match act {
            Act::Write { records, end } => write(&broker, &mut model, &records, end, number as u64).await,
            Act::Clean => {
                broker.clean().await.unwrap();
                model.lines.values_mut().for_each(|line| line.cleaned = true);
            }
            Act::Wait => clock.advance(Duration::from_secs(40)),
            Act::Reopen if reopens => {
                drop(broker);
                broker = open(config.clone());
            }
            Act::Reopen => {}
        }
    }
    check(&broker, &model, start).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn memory_holds_what_was_written(acts in prop::collection::vec(act(), 0..40), start in 0u64..60) {
        runtime().block_on(run(EmbeddedBroker::in_memory, false, acts, start));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_holds_what_was_written(acts in prop::collection::vec(act(), 0..25), start in 0u64..60) {
        let folder = tempfile::tempdir().unwrap();
        let open = |config| EmbeddedBroker::open(folder.path(), config).unwrap();
        runtime().block_on(run(open, true, acts, start));
    }
}
