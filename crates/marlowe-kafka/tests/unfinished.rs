//! Transactions whose end is in doubt, and the next producer of their id.

use std::sync::Arc;

use kafka_cluster::{Size, shared};
use marlowe_broker::{
    NewRecord, Offset, OffsetSpec, Partition, SharedBroker, Timestamp, TopicConfig, TopicPartition,
    TransactionalProducer,
};
use marlowe_kafka::{KafkaBroker, KafkaConfig};

async fn broker() -> SharedBroker {
    let bootstrap = tokio::task::spawn_blocking(|| shared(Size::One)).await.unwrap();
    KafkaBroker::connect(KafkaConfig::new(bootstrap.unwrap())).await.unwrap()
}

async fn ends(broker: &SharedBroker, topic: &str) -> Vec<Offset> {
    let partitions: Vec<Partition> = Partition::all(3).collect();
    broker.offsets(topic, &partitions, OffsetSpec::Latest).await.unwrap()
}

fn send(producer: &mut dyn TransactionalProducer, topic: &Arc<str>, partition: u32, times: usize) {
    let to = producer.destination(&TopicPartition::new(topic.clone(), Partition::new(partition))).unwrap();
    let record =
        NewRecord { timestamp: Timestamp::from_millis(1), key: Some(b"key"), value: Some(b"value"), headers: &[] };
    for _ in 0..times {
        producer.send(to, record).unwrap();
    }
}

/// The markers of the transaction in doubt may be missing. So there must be others, in all of its partitions and in no other.
#[tokio::test]
async fn a_transaction_in_doubt_is_ended_by_the_next_producer_of_its_id() {
    let (broker, other) = (broker().await, broker().await);
    let topic: Arc<str> = format!("unfinished-{}", std::process::id()).into();
    let id = format!("{topic}-id");
    broker.create_topic(TopicConfig::new(topic.clone(), 3)).await.unwrap();
    let mut first = broker.transactional_producer(&id).await.unwrap();

    // What is committed leaves no doubt: a record and its marker.
    first.begin().unwrap();
    send(&mut *first, &topic, 2, 1);
    first.commit().await.unwrap();
    drop(first);
    let mut first = broker.transactional_producer(&id).await.unwrap();
    assert_eq!(ends(&broker, &topic).await, [0, 0, 2].map(Offset::new));

    first.begin().unwrap();
    send(&mut *first, &topic, 0, 2);
    send(&mut *first, &topic, 1, 1);
    first.flush().await.unwrap();
    // Its coordinator aborts the transaction: two records and a marker, one and a marker.
    drop(other.transactional_producer(&id).await.unwrap());
    first.commit().await.unwrap_err();
    drop(first);
    assert_eq!(ends(&broker, &topic).await, [3, 2, 2].map(Offset::new));

    let mut next = broker.transactional_producer(&id).await.unwrap();
    assert_eq!(ends(&broker, &topic).await, [5, 4, 2].map(Offset::new));

    // Once is enough, and the next one works.
    next.begin().unwrap();
    send(&mut *next, &topic, 1, 1);
    next.commit().await.unwrap();
    assert_eq!(ends(&broker, &topic).await, [5, 6, 2].map(Offset::new));
    drop(next);
    drop(broker.transactional_producer(&id).await.unwrap());
    assert_eq!(ends(&broker, &topic).await, [5, 6, 2].map(Offset::new));
    broker.delete_topic(&topic).await.unwrap();
}
