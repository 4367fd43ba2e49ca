//! Tests that records sent after an abort are not taken for the records that were aborted.

use std::collections::BTreeSet;

use kafka_cluster::ClusterConfig;
use marlowe::kafka::KafkaConfig;
use marlowe_broker::{
    BrokerError, Clock, CommittedOffset, GroupMetadata, NewRecord, Offset, Partition, SystemClock, TopicConfig,
    TopicPartition, TransactionalProducer,
};

use crate::audit::records;
use crate::scene::{Scene, broker_in_charge, cluster, pause, to, within};

/// The number of partitions. With this many, each order of the three brokers is the order of some
/// partition's replicas.
const PARTITIONS: u32 = 36;

/// Sends each of the partitions one record with the value `what`.
fn send(producer: &mut dyn TransactionalProducer, partitions: &[TopicPartition], what: &str) {
    for partition in partitions {
        let to = producer.destination(partition).unwrap();
        let (key, value) = (Some(b"".as_slice()), Some(what.as_bytes()));
        producer.send(to, NewRecord { timestamp: SystemClock.now(), key, value, headers: &[] }).unwrap();
    }
}

/// Kills a broker that has appended records but has not acknowledged them, and aborts the
/// transaction while the records wait to be sent again. If the same client sent the next records,
/// they would get the sequence numbers of the aborted ones. The new leader has the aborted ones,
/// and would take the next records for them.
#[tokio::test]
async fn records_after_an_abort_are_not_taken_for_aborted_ones() {
    let cluster = cluster(ClusterConfig::three()).await;
    let scene = Scene::at(KafkaConfig::new(cluster.bootstrap())).await;
    let topic = format!("{}-records", scene.app);
    scene.broker.create_topic(TopicConfig::new(&*topic, PARTITIONS)).await.unwrap();
    let id = format!("{}-aborts", scene.app);
    let mut producer = scene.broker.transactional_producer(&id).await.unwrap();

    // One broker coordinates the transaction and another the group. The third is killed.
    let transactions = broker_in_charge(&cluster, move |cluster| cluster.transaction_coordinator(&id)).await;
    let (mut group, mut groups) = (String::new(), transactions);
    for number in 0.. {
        if groups != transactions {
            break;
        }
        group = format!("{}-group-{number}", scene.app);
        let named = group.clone();
        groups = broker_in_charge(&cluster, move |cluster| cluster.group_coordinator(&named)).await;
    }
    let killed = (1..=3).find(|id| ![transactions, groups].contains(id)).unwrap();

    let mut led = Vec::new();
    for partition in Partition::all(PARTITIONS) {
        let named = topic.clone();
        let leader = broker_in_charge(&cluster, move |cluster| cluster.leader(&named, partition.get() as i32)).await;
        if leader == killed {
            led.push(TopicPartition::new(&*topic, partition));
        }
    }

    // All partitions are part of the transaction. From here on nothing is acknowledged, because one
    // replica is silent. The silent broker is also the one that would coordinate the group's
    // positions.
    producer.begin().unwrap();
    send(&mut *producer, &led, "aborted");
    within(producer.flush()).await.unwrap();
    to(&cluster, move |cluster| cluster.broker(groups).pause()).await;
    send(&mut *producer, &led, "aborted");
    let nobody = GroupMetadata { group: group.as_str().into(), member: "nobody".into(), generation: 1 };
    let input = (TopicPartition::new(&*topic, Partition::new(0)), CommittedOffset::from(Offset::new(1)));
    producer.send_offsets(&[input], &nobody).unwrap();
    let refused = async {
        let refused = within(producer.commit()).await;
        assert!(matches!(refused, Err(BrokerError::Fenced { .. })), "{refused:?}");
    };
    let disturbed = async {
        pause(2000).await;
        to(&cluster, move |cluster| cluster.broker(killed).kill()).await;
        to(&cluster, move |cluster| cluster.broker(groups).resume()).await;
    };
    tokio::join!(refused, disturbed);

    producer.begin().unwrap();
    send(&mut *producer, &led, "second");
    within(producer.commit()).await.unwrap();

    to(&cluster, move |cluster| cluster.broker(killed).start()).await;
    let mut second = BTreeSet::new();
    for record in records(&scene.broker, &topic).await {
        let value = record.value.unwrap();
        assert_ne!(value, "aborted");
        if value == "second" {
            assert!(second.insert(record.partition), "{} has it twice", record.partition);
        }
    }
    let lost: Vec<_> = led.iter().filter(|led| !second.contains(&led.partition)).collect();
    assert!(lost.is_empty(), "of {} partitions, what was sent after the abort is not there in {lost:?}", led.len());
}
