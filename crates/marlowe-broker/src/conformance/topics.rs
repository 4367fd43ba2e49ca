//! Checks of topics: created, described, listed and deleted.

use std::time::Duration;

use super::Setting;
use super::setting::place;
use crate::{
    BrokerError, Cleanup, GroupConfig, Isolation, Offset, OffsetSpec, Partition, TopicConfig, TopicDescription,
};

/// Checks that a topic is described as it was created, alone and in the list of all topics.
pub async fn a_created_topic_is_described_and_listed(setting: &Setting) {
    let kinds = [
        Cleanup::Delete { retention: None },
        Cleanup::Delete { retention: Some(Duration::from_secs(3600)) },
        Cleanup::Compact,
        Cleanup::CompactDelete { retention: Duration::from_secs(3600) },
    ];
    for (partitions, cleanup) in (1..).zip(kinds) {
        let name = setting.topic_with(partitions, cleanup).await;
        // The brokers of a cluster learn of a topic one after the other.
        let is_wanted =
            |found: &TopicDescription| found.name == name && found.partitions == partitions && found.cleanup == cleanup;
        let described = async || setting.broker.topic(&name).await.unwrap().as_ref().is_some_and(is_wanted);
        setting.until("it is described as it was created", described).await;
        let listed = async || setting.broker.topics().await.unwrap().iter().any(is_wanted);
        setting.until("the list has every topic", listed).await;
        let all = setting.broker.topics().await.unwrap();
        assert!(all.is_sorted_by(|one, next| one.name < next.name), "the list is by name");
    }
    assert!(setting.broker.topic(&setting.name("missing")).await.unwrap().is_none());
}

/// Checks that a topic's description says how long tombstones are kept, also where that is the
/// broker's choice.
pub async fn a_topic_tells_how_long_its_tombstones_are_kept(setting: &Setting) {
    let retention = async |name: &str| setting.broker.topic(name).await.unwrap().map(|topic| topic.tombstone_retention);
    let chosen = Duration::from_millis(1_234_567_890);
    let name = setting.name("tombstones");
    let config = TopicConfig::new(name.clone(), 1).cleanup(Cleanup::Compact).tombstone_retention(chosen);
    setting.broker.create_topic(config).await.unwrap();
    setting.until("it tells what was chosen", async || retention(&name).await == Some(chosen)).await;
    let name = setting.topic_with(1, Cleanup::Compact).await;
    let default = Duration::from_secs(24 * 60 * 60);
    setting.until("it tells what the broker chose", async || retention(&name).await == Some(default)).await;
}

/// Checks that a topic that is deleted and created again has another id, on brokers whose topics
/// have ids.
pub async fn a_topic_that_is_made_anew_is_told_from_the_one_before(setting: &Setting) {
    let topics = [setting.topic(1).await, setting.topic(1).await, setting.name("missing")];
    let ids = setting.broker.topic_ids(&topics).await.unwrap();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[2], None, "a topic that is not there");
    assert_eq!(setting.broker.topic_ids(&topics).await.unwrap(), ids, "it stays");
    setting.broker.delete_topic(&topics[0]).await.unwrap();
    setting.broker.create_topic(TopicConfig::new(topics[0].clone(), 1)).await.unwrap();
    let anew = setting.broker.topic_ids(&topics[..1]).await.unwrap();
    assert!(ids[0].is_none() == ids[1].is_none() && ids[0].is_none() == anew[0].is_none());
    if ids[0].is_some() {
        assert!(anew[0] != ids[0] && ids[0] != ids[1], "{ids:?} {anew:?}");
    }
}

/// Checks that a second creation is refused, and that the topic stays as it was.
pub async fn a_topic_is_created_once(setting: &Setting) {
    let name = setting.topic(2).await;
    let again = setting.broker.create_topic(TopicConfig::new(name.clone(), 5)).await;
    assert!(matches!(again, Err(BrokerError::TopicExists { topic }) if topic == name));
    assert_eq!(setting.broker.topic(&name).await.unwrap().unwrap().partitions, 2);
}

/// Checks that names that Kafka does not allow are refused, and also a topic without partitions.
pub async fn a_bad_topic_is_refused(setting: &Setting) {
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "grüße", &long] {
        let refused = setting.broker.create_topic(TopicConfig::new(name, 1)).await;
        assert!(matches!(refused, Err(BrokerError::InvalidTopic { .. })), "{name:?} is no name");
    }
    let empty = setting.name("empty");
    let refused = setting.broker.create_topic(TopicConfig::new(empty.clone(), 0)).await;
    assert!(matches!(refused, Err(BrokerError::InvalidTopic { .. })));
    assert!(setting.broker.topic(&empty).await.unwrap().is_none());
}

/// Checks that a deleted topic takes its records and the positions of groups with it, and that a
/// new topic of its name starts empty.
pub async fn a_deleted_topic_is_gone_with_its_positions(setting: &Setting) {
    let topic = setting.topic(1).await;
    let group = setting.name("group");
    let at = place(&topic, 0);
    setting.produce(&at, &["old"]).await;
    setting.broker.commit_offsets(&group, None, &[(at.clone(), Offset::new(1).into())]).await.unwrap();
    setting.broker.delete_topic(&topic).await.unwrap();
    setting.until("the topic is gone", async || setting.broker.topic(&topic).await.unwrap().is_none()).await;
    let again = setting.broker.delete_topic(&topic).await;
    assert!(matches!(again, Err(BrokerError::UnknownTopic { .. })));

    let remade = async || setting.broker.create_topic(TopicConfig::new(topic.clone(), 1)).await.is_ok();
    setting.until("the name is free again", remade).await;
    setting.until("the topic is there", async || setting.broker.topic(&topic).await.unwrap().is_some()).await;
    assert_eq!(setting.broker.committed(&group, std::slice::from_ref(&at)).await.unwrap(), [None]);
    assert!(setting.read_all(&topic, Isolation::ReadCommitted).await.is_empty());
    setting.produce(&at, &["new"]).await;
    assert_eq!(setting.read_all(&topic, Isolation::ReadCommitted).await.len(), 1);
}

/// Checks that the error for a missing topic or partition names it.
pub async fn what_is_not_there_is_named(setting: &Setting) {
    let missing = setting.name("missing");
    let topic = setting.topic(2).await;
    let spec = OffsetSpec::Latest;
    let unknown = setting.broker.offsets(&missing, &[Partition::new(0)], spec).await;
    assert!(matches!(unknown, Err(BrokerError::UnknownTopic { topic }) if topic == missing));
    let unknown = setting.broker.offsets(&topic, &[Partition::new(0), Partition::new(2)], spec).await;
    assert!(matches!(unknown, Err(BrokerError::UnknownPartition { partition, .. }) if partition.get() == 2));

    let mut reader = setting.broker.reader(Isolation::ReadCommitted).unwrap();
    let mut producer = setting.broker.producer().unwrap();
    assert!(matches!(reader.assign(&place(&missing, 0), Offset::ZERO), Err(BrokerError::UnknownTopic { .. })));
    assert!(matches!(reader.assign(&place(&topic, 2), Offset::ZERO), Err(BrokerError::UnknownPartition { .. })));
    assert!(matches!(producer.destination(&place(&missing, 0)), Err(BrokerError::UnknownTopic { .. })));
    assert!(matches!(producer.destination(&place(&topic, 2)), Err(BrokerError::UnknownPartition { .. })));
    let joined = setting.broker.join(GroupConfig::new(setting.name("group"), [missing])).await;
    assert!(matches!(joined, Err(BrokerError::UnknownTopic { .. })));
}
