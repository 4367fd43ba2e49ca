//! The smallest round trip, as a first program does it.

use marlowe_broker::{
    Broker, CommittedOffset, GroupConfig, GroupEvent, Isolation, NewRecord, Offset, OffsetSpec, Partition, Timestamp,
    TopicConfig, TopicPartition,
};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

fn record<'a>(key: &'a str, value: &'a str) -> NewRecord<'a> {
    NewRecord {
        timestamp: Timestamp::from_millis(7),
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: &[],
    }
}

#[tokio::test]
async fn a_transaction_is_read_with_its_positions_and_its_marker() {
    let broker = EmbeddedBroker::in_memory(EmbeddedConfig::default());
    broker.create_topic(TopicConfig::new("input", 2)).await.unwrap();
    let place = TopicPartition::new("input", Partition::new(1));
    let mut member = broker.join(GroupConfig::new("group", ["input".into()])).await.unwrap();
    let GroupEvent::Assigned(owned) = member.next().await.unwrap() else { panic!("an assignment comes first") };
    assert_eq!(owned.len(), 2);

    let mut producer = broker.transactional_producer("id").await.unwrap();
    let to = producer.destination(&place).unwrap();
    producer.begin().unwrap();
    producer.send(to, record("a", "1")).unwrap();
    producer.send(to, record("b", "2")).unwrap();
    let position = (place.clone(), CommittedOffset { offset: Offset::new(5), metadata: "note".into() });
    producer.send_offsets(std::slice::from_ref(&position), &member.metadata().current()).unwrap();
    let written = producer.commit().await.unwrap();
    assert_eq!(written.end(to), Some(Offset::new(2)));
    assert_eq!(broker.offsets("input", &[place.partition], OffsetSpec::Latest).await.unwrap(), [Offset::new(3)]);
    assert_eq!(broker.committed("group", std::slice::from_ref(&place)).await.unwrap(), [Some(position.1)]);

    let mut reader = broker.reader(Isolation::ReadCommitted).unwrap();
    reader.assign(&place, Offset::new(1)).unwrap();
    let fetched = reader.poll().await.unwrap();
    assert_eq!(fetched.len(), 1);
    let batch = &fetched[0].batch;
    assert_eq!((batch.len(), batch.next_offset()), (1, Offset::new(3)));
    assert_eq!(batch.get(0).key, Some(&b"b"[..]));
}
