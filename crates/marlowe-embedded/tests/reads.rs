//! Records that a group has declared it reads stay until the group has read them, however old they
//! are.

mod exchange;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exchange::{HandClock, bound, config, place, produce};
use marlowe_broker::{Broker, Cleanup, Offset, OffsetSpec, Reads, TopicConfig, Unread};
use marlowe_embedded::EmbeddedBroker;

const RETENTION: Cleanup = Cleanup::Delete { retention: Some(Duration::from_secs(10)) };

/// Creates a topic in which the records of `produce_old` are past their retention.
async fn with_old_records(broker: &EmbeddedBroker, clock: &HandClock, cleanup: Cleanup) {
    clock.advance(Duration::from_secs(3600));
    broker.create_topic(TopicConfig::new("topic", 1).cleanup(cleanup)).await.unwrap();
}

/// Writes `count` records that are past their retention, each in a batch of its own, and cleans.
async fn produce_old(broker: &EmbeddedBroker, count: usize) {
    for number in 0..count {
        produce(broker, &place("topic", 0), 0, &[(&number.to_string(), Some("old"))]).await.unwrap();
    }
    broker.clean().await.unwrap();
}

async fn declare(broker: &EmbeddedBroker, group: &str, unread: Unread) {
    let reads = [Reads { topic: "other".into(), unread: Unread::Keep }, Reads { topic: "topic".into(), unread }];
    broker.declare_reads(group, &reads).await.unwrap();
}

async fn commit(broker: &EmbeddedBroker, group: &str, offset: u64) {
    broker.commit_offsets(group, None, &[(place("topic", 0), Offset::new(offset).into())]).await.unwrap();
    broker.clean().await.unwrap();
}

async fn start(broker: &EmbeddedBroker) -> u64 {
    bound(broker, &place("topic", 0), OffsetSpec::Earliest).await
}

#[tokio::test]
async fn n2_7_what_a_group_has_not_read_stays_however_old_it_is() {
    let clock = Arc::<HandClock>::default();
    for cleanup in [RETENTION, Cleanup::CompactDelete { retention: Duration::from_secs(10) }] {
        let broker = EmbeddedBroker::in_memory(config(&clock));
        with_old_records(&broker, &clock, cleanup).await;
        declare(&broker, "slow", Unread::Keep).await;
        declare(&broker, "fast", Unread::Keep).await;
        produce_old(&broker, 10).await;
        assert_eq!(start(&broker).await, 0, "neither has a position yet");
        commit(&broker, "fast", 10).await;
        assert_eq!(start(&broker).await, 0);
        commit(&broker, "slow", 4).await;
        match cleanup {
            Cleanup::Delete { .. } => assert_eq!(start(&broker).await, 4, "what both have read goes"),
            // Compaction merges batches, and a merged batch goes as a whole.
            _ => assert!(start(&broker).await <= 4),
        }
        commit(&broker, "slow", 10).await;
        assert!(start(&broker).await >= 9, "the last batch may stay");
    }
}

#[tokio::test]
async fn n2_7_a_group_that_lets_records_expire_keeps_none() {
    let clock = Arc::<HandClock>::default();
    let broker = EmbeddedBroker::in_memory(config(&clock));
    with_old_records(&broker, &clock, RETENTION).await;
    declare(&broker, "one", Unread::Expire).await;
    commit(&broker, "one", 0).await;
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 5);
    // A new declaration replaces the one before.
    declare(&broker, "one", Unread::Keep).await;
    commit(&broker, "one", 6).await;
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 6);
    // A group that no longer reads the topic needs none of it, and neither does a deleted group.
    broker.declare_reads("one", &[Reads { topic: "other".into(), unread: Unread::Keep }]).await.unwrap();
    broker.clean().await.unwrap();
    assert_eq!(start(&broker).await, 10);
    declare(&broker, "one", Unread::Keep).await;
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 10);
    broker.delete_group("one").await.unwrap();
    broker.clean().await.unwrap();
    assert_eq!(start(&broker).await, 15);
}

#[tokio::test]
async fn n2_7_a_group_that_said_nothing_reads_where_it_has_a_position() {
    let clock = Arc::<HandClock>::default();
    let broker = EmbeddedBroker::in_memory(config(&clock));
    with_old_records(&broker, &clock, RETENTION).await;
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 5, "nobody reads it");
    commit(&broker, "silent", 5).await;
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 5);
    commit(&broker, "silent", 8).await;
    assert_eq!(start(&broker).await, 8);
}

#[tokio::test]
async fn n2_7_a_folder_remembers_who_reads_what() {
    let (clock, folder) = (Arc::<HandClock>::default(), tempfile::tempdir().unwrap());
    let open = |folder: &Path| EmbeddedBroker::open(folder, config(&clock)).unwrap();
    let long_name = "group".repeat(300);
    let broker = open(folder.path());
    with_old_records(&broker, &clock, RETENTION).await;
    declare(&broker, &long_name, Unread::Keep).await;
    declare(&broker, "other", Unread::Expire).await;
    produce_old(&broker, 5).await;
    drop(broker);
    let broker = open(folder.path());
    produce_old(&broker, 5).await;
    assert_eq!(start(&broker).await, 0);
    commit(&broker, &long_name, 7).await;
    assert_eq!(start(&broker).await, 7);
    broker.delete_group(&long_name).await.unwrap();
    drop(broker);
    let broker = open(folder.path());
    broker.clean().await.unwrap();
    assert_eq!(start(&broker).await, 10);
}
