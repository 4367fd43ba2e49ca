//! Tests of topics on a real Kafka of three brokers.

use kafka_cluster::{Size, shared};

use super::*;
use crate::KafkaConfig;

/// Returns the id of a topic as each broker knows it at this moment, or `None` where it does not
/// exist.
fn said(cluster: &Cluster, topic: &str) -> Vec<Option<String>> {
    let brokers = cluster.lookups.metadata(Some(topic), AGREE_WITHIN).unwrap().brokers;
    assert_eq!(brokers.len(), Size::Three.brokers());
    brokers.iter().map(|broker| cluster.lookups.topic_id_at(*broker, topic, AGREE_WITHIN).unwrap()).collect()
}

/// Asks all brokers at once, so that even a broker that is behind by a millisecond is noticed.
#[tokio::test]
async fn n5_all_brokers_know_a_topic_that_was_created_or_deleted() {
    let brokers = shared(Size::Three).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::connect(KafkaConfig::new(brokers)).await.unwrap();
    let topic = format!("known-{}", std::process::id());
    let mut before = None;
    for _ in 0..20 {
        cluster.create_topic(TopicConfig::new(&*topic, 1)).await.unwrap();
        let ids = said(&cluster, &topic);
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "created: {ids:?}");
        assert_ne!(ids[0], before, "it is another topic");
        before = ids[0].clone();
        cluster.delete_topic(&topic).await.unwrap();
        let ids = said(&cluster, &topic);
        assert!(ids.iter().all(Option::is_none), "deleted: {ids:?}");
    }
}
