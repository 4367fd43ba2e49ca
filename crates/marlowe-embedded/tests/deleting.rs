//! Deleting records by offset, and the space that it frees.

mod exchange;

use std::sync::Arc;

use exchange::{HandClock, bound, config, pairs, place, produce, read};
use marlowe_broker::{Broker, Offset, OffsetSpec, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

async fn delete(broker: &EmbeddedBroker, before: u64) {
    broker.delete_records(&[(place("topic", 0), Offset::new(before))]).await.unwrap();
}

#[tokio::test]
async fn n4_3_the_start_is_exact_also_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::<HandClock>::default();
    let open = || EmbeddedBroker::open(folder.path(), config(&clock)).unwrap();
    let (broker, at) = (open(), place("topic", 0));
    broker.create_topic(TopicConfig::new("topic", 1)).await.unwrap();
    for round in 0..3 {
        produce(&broker, &at, round, &[("a", Some("1")), ("b", Some("2")), ("c", Some("3"))]).await.unwrap();
    }
    delete(&broker, 4).await;
    drop(broker);
    let broker = open();
    assert_eq!(bound(&broker, &at, OffsetSpec::Earliest).await, 4);
    assert_eq!(pairs(&read(&broker, &at).await)[0], ("b", Some("2")));
    assert_eq!(read(&broker, &at).await.len(), 5);
    // Deletes again, then up to the end, and then continues from there.
    delete(&broker, 5).await;
    delete(&broker, 9).await;
    assert_eq!(read(&broker, &at).await, []);
    drop(broker);
    let broker = open();
    produce(&broker, &at, 9, &[("d", Some("4"))]).await.unwrap();
    assert_eq!(read(&broker, &at).await[0].offset, 9);
}

#[tokio::test]
async fn n4_3_a_folder_does_not_grow_while_what_is_read_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(folder.path(), EmbeddedConfig::default()).unwrap();
    broker.create_topic(TopicConfig::new("topic", 1)).await.unwrap();
    let (at, value) = (place("topic", 0), "x".repeat(1000));
    let mut producer = broker.producer().unwrap();
    let to = producer.destination(&at).unwrap();
    let size = || std::fs::metadata(folder.path().join("data.mdb")).unwrap().len();
    let (mut written, mut settled) = (0, 0);
    for round in 0..400 {
        for _ in 0..100 {
            producer.send(to, exchange::record("key", Some(&value), 0)).unwrap();
            written += 1;
        }
        producer.flush().await.unwrap();
        if round % 10 == 9 {
            delete(&broker, written - 50).await;
        }
        if round == 100 {
            settled = size();
        }
    }
    let last = size();
    assert!(last <= settled + settled / 10, "{settled} bytes after 100 rounds, {last} after 400");
    assert!(last < 20 * 100 * 1000 * 3, "{last} bytes for about 1 MB that is there");
}
