//! A test of a transaction whose end is in doubt, and of the next producer of its id.

use std::sync::Arc;
use std::time::Duration;

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

/// Waits until the partitions end at `ends`. A transaction's markers are written after its commit
/// is answered.
async fn ends_at(broker: &SharedBroker, topic: &str, ends: [u64; 3]) {
    let partitions: Vec<Partition> = Partition::all(3).collect();
    let mut found = Vec::new();
    for _ in 0..600 {
        found = broker.offsets(topic, &partitions, OffsetSpec::Latest).await.unwrap();
        if found == ends.map(Offset::new) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the partitions end at {found:?}, not at {ends:?}");
}

fn send(producer: &mut dyn TransactionalProducer, topic: &Arc<str>, partition: u32, times: usize) {
    let to = producer.destination(&TopicPartition::new(topic.clone(), Partition::new(partition))).unwrap();
    let record =
        NewRecord { timestamp: Timestamp::from_millis(1), key: Some(b"key"), value: Some(b"value"), headers: &[] };
    for _ in 0..times {
        producer.send(to, record).unwrap();
    }
}

/// Expects other markers in all partitions of the transaction in doubt, and in no other partition,
/// because its own markers may be missing.
#[tokio::test]
async fn a_transaction_in_doubt_is_ended_by_the_next_producer() {
    let (broker, other) = (broker().await, broker().await);
    let topic: Arc<str> = format!("unfinished-{}", std::process::id()).into();
    let id = format!("{topic}-id");
    broker.create_topic(TopicConfig::new(topic.clone(), 3)).await.unwrap();
    let mut first = broker.transactional_producer(&id).await.unwrap();

    // A transaction that was committed is not in doubt: it leaves a record and its marker.
    first.begin().unwrap();
    send(&mut *first, &topic, 2, 1);
    first.commit().await.unwrap();
    drop(first);
    let mut first = broker.transactional_producer(&id).await.unwrap();
    ends_at(&broker, &topic, [0, 0, 2]).await;

    first.begin().unwrap();
    send(&mut *first, &topic, 0, 2);
    send(&mut *first, &topic, 1, 1);
    first.flush().await.unwrap();
    // The coordinator aborts the transaction: two records and a marker, one record and a marker.
    drop(other.transactional_producer(&id).await.unwrap());
    first.commit().await.unwrap_err();
    drop(first);
    ends_at(&broker, &topic, [3, 2, 2]).await;

    let mut next = broker.transactional_producer(&id).await.unwrap();
    ends_at(&broker, &topic, [5, 4, 2]).await;

    // It is ended once, and the next transaction works.
    next.begin().unwrap();
    send(&mut *next, &topic, 1, 1);
    next.commit().await.unwrap();
    ends_at(&broker, &topic, [5, 6, 2]).await;
    drop(next);
    drop(broker.transactional_producer(&id).await.unwrap());
    ends_at(&broker, &topic, [5, 6, 2]).await;
    broker.delete_topic(&topic).await.unwrap();
}
