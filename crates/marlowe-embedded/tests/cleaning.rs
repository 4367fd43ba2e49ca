//! Retention and log compaction.

mod exchange;

use std::sync::Arc;
use std::time::Duration;

use exchange::{HandClock, bound, config, pairs, place, produce, read};
use marlowe_broker::{Broker, BrokerError, Cleanup, Isolation, Offset, OffsetSpec, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

async fn broker(config: EmbeddedConfig, cleanup: Cleanup) -> EmbeddedBroker {
    let broker = EmbeddedBroker::in_memory(config);
    broker.create_topic(TopicConfig::new("topic", 1).cleanup(cleanup)).await.unwrap();
    broker
}

#[tokio::test]
async fn compaction_keeps_the_last_record_of_each_key_and_its_offset() {
    let broker = broker(config(&Arc::default()), Cleanup::Compact).await;
    let at = place("topic", 0);
    for records in [
        &[("a", Some("1")), ("b", Some("1"))][..],
        &[("a", Some("2")), ("c", Some("1")), ("a", Some("3"))],
        &[("b", Some("2"))],
        // The last batch is left alone. So are the records that only the last batch makes out of
        // date.
        &[("c", Some("2")), ("d", Some("1")), ("d", Some("2"))],
    ] {
        produce(&broker, &at, 0, records).await.unwrap();
    }
    broker.clean().await.unwrap();
    let kept = read(&broker, &at).await;
    let left =
        [("c", Some("1")), ("a", Some("3")), ("b", Some("2")), ("c", Some("2")), ("d", Some("1")), ("d", Some("2"))];
    assert_eq!(pairs(&kept), left);
    assert_eq!(kept.iter().map(|read| read.offset).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    assert_eq!(bound(&broker, &at, OffsetSpec::Earliest).await, 0, "compaction leaves gaps and moves no bound");
    // Reading can also begin inside a gap.
    assert_eq!(exchange::read_from(&broker, &at, 1).await, kept);
}

#[tokio::test]
async fn n4_1_a_topic_keeps_its_tombstones_as_long_as_it_says() {
    let clock = Arc::<HandClock>::default();
    let folder = tempfile::tempdir().unwrap();
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let open = || EmbeddedBroker::open(folder.path(), config(&clock)).unwrap();
    let broker = open();
    let topic = TopicConfig::new("topic", 1).cleanup(Cleanup::Compact).tombstone_retention(week);
    broker.create_topic(topic).await.unwrap();
    drop(broker);
    let broker = open();
    let at = place("topic", 0);
    for record in [("a", Some("1")), ("a", None), ("tail", Some("1"))] {
        produce(&broker, &at, 0, &[record]).await.unwrap();
    }
    broker.clean().await.unwrap();
    clock.advance(week - Duration::from_secs(1));
    broker.clean().await.unwrap();
    assert_eq!(pairs(&read(&broker, &at).await), [("a", None), ("tail", Some("1"))]);
    clock.advance(Duration::from_secs(1));
    broker.clean().await.unwrap();
    assert_eq!(pairs(&read(&broker, &at).await), [("tail", Some("1"))]);
}

#[tokio::test]
async fn a_tombstone_outlives_older_records_and_goes_in_time() {
    let clock = Arc::<HandClock>::default();
    let settings = EmbeddedConfig { tombstone_retention: Duration::from_secs(60), ..config(&clock) };
    let broker = broker(settings, Cleanup::Compact).await;
    let at = place("topic", 0);
    produce(&broker, &at, 0, &[("a", Some("1")), ("b", Some("1"))]).await.unwrap();
    produce(&broker, &at, 0, &[("a", None)]).await.unwrap();
    produce(&broker, &at, 0, &[("tail", Some("1"))]).await.unwrap();
    // A tombstone's time begins when the cleaner first meets it, however long ago it was written.
    clock.advance(Duration::from_secs(3600));
    broker.clean().await.unwrap();
    assert_eq!(pairs(&read(&broker, &at).await), [("b", Some("1")), ("a", None), ("tail", Some("1"))]);
    clock.advance(Duration::from_secs(59));
    // More records in the partition do not give the tombstone more time.
    produce(&broker, &at, 0, &[("tail", Some("2"))]).await.unwrap();
    broker.clean().await.unwrap();
    assert!(read(&broker, &at).await.iter().any(|read| read.key == "a"));
    clock.advance(Duration::from_secs(1));
    broker.clean().await.unwrap();
    assert_eq!(pairs(&read(&broker, &at).await), [("b", Some("1")), ("tail", Some("1")), ("tail", Some("2"))]);
}

#[tokio::test]
async fn retention_removes_what_is_past_and_tells_readers_so() {
    let clock = Arc::<HandClock>::default();
    let retention = Duration::from_secs(10);
    let broker = broker(config(&clock), Cleanup::Delete { retention: Some(retention) }).await;
    let at = place("topic", 0);
    produce(&broker, &at, 0, &[("a", Some("old")), ("b", Some("old"))]).await.unwrap();
    produce(&broker, &at, 5_000, &[("c", Some("new"))]).await.unwrap();
    let mut reader = broker.reader(Isolation::ReadCommitted).unwrap();
    reader.assign(&at, Offset::new(1)).unwrap();
    clock.advance(Duration::from_millis(10_001));
    broker.clean().await.unwrap();
    assert_eq!(bound(&broker, &at, OffsetSpec::Earliest).await, 2);
    assert_eq!(pairs(&read(&broker, &at).await), [("c", Some("new"))]);
    let told = reader.poll().await.map(drop);
    assert!(
        matches!(&told, Err(BrokerError::OffsetOutOfRange { offset, start, end, .. })
            if (offset.get(), start.get(), end.get()) == (1, 2, 3)),
        "{told:?}"
    );
    // In the end no record is left, and the offsets continue.
    clock.advance(Duration::from_secs(60));
    broker.clean().await.unwrap();
    assert_eq!(bound(&broker, &at, OffsetSpec::Earliest).await, 3);
    assert_eq!(bound(&broker, &at, OffsetSpec::Latest).await, 3);
    produce(&broker, &at, 70_000, &[("d", Some("newest"))]).await.unwrap();
    assert_eq!(read(&broker, &at).await[0].offset, 3);
}

#[tokio::test]
async fn both_policies_keep_the_last_of_each_key_while_it_is_young() {
    let clock = Arc::<HandClock>::default();
    let broker = broker(config(&clock), Cleanup::CompactDelete { retention: Duration::from_secs(10) }).await;
    let at = place("topic", 0);
    produce(&broker, &at, 0, &[("old", Some("1"))]).await.unwrap();
    clock.advance(Duration::from_secs(11));
    produce(&broker, &at, 11_000, &[("a", Some("1"))]).await.unwrap();
    produce(&broker, &at, 11_000, &[("a", Some("2"))]).await.unwrap();
    produce(&broker, &at, 11_000, &[("b", Some("1"))]).await.unwrap();
    broker.clean().await.unwrap();
    assert_eq!(pairs(&read(&broker, &at).await), [("a", Some("2")), ("b", Some("1"))]);
}

#[tokio::test]
async fn a_compacted_topic_does_not_grow_under_overwriting() {
    let clock = Arc::<HandClock>::default();
    for transactional in [false, true] {
        let broker = broker(config(&clock), Cleanup::Compact).await;
        let at = place("topic", 0);
        let mut plain = broker.producer().unwrap();
        let mut transaction = broker.transactional_producer("id").await.unwrap();
        let (one, two) = (plain.destination(&at).unwrap(), transaction.destination(&at).unwrap());
        let mut written = 0;
        let mut most = 0;
        let value = "x".repeat(100);
        for round in 0..2_000 {
            if transactional {
                transaction.begin().unwrap();
            }
            for key in 0..100 {
                let key = format!("key {}", (round * 37 + key * 11) % 1000);
                let record = exchange::record(&key, Some(&value), 0);
                if transactional { transaction.send(two, record) } else { plain.send(one, record) }.unwrap();
                written += 1;
            }
            if transactional { transaction.commit().await } else { plain.flush().await }.unwrap();
            if round % 250 == 249 {
                most = most.max(read(&broker, &at).await.len());
            }
        }
        assert_eq!(written, 200_000);
        // 1,000 keys of 130 bytes each, 1 MiB that waits for a pass, and what is added during the
        // pass.
        assert!(most < 30_000, "{most} of {written} records are kept");
        broker.clean().await.unwrap();
        let kept = read(&broker, &at).await;
        assert!(kept.len() <= 1_100, "{} records for 1000 keys", kept.len());
        let keys: std::collections::HashSet<_> = kept.iter().map(|read| &read.key).collect();
        assert_eq!(keys.len(), 1_000);
    }
}

#[tokio::test]
async fn a_compacted_topic_takes_no_record_without_a_key() {
    let broker = broker(config(&Arc::default()), Cleanup::Compact).await;
    let mut producer = broker.producer().unwrap();
    let to = producer.destination(&place("topic", 0)).unwrap();
    let refused = producer.send(to, marlowe_broker::NewRecord { key: None, ..exchange::record("", Some("x"), 0) });
    assert!(matches!(&refused, Err(BrokerError::RecordRefused { topic, .. }) if &**topic == "topic"), "{refused:?}");
}
