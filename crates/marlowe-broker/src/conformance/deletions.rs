//! Checks of deleting records by offset.

use super::Setting;
use super::exchange::values;
use super::setting::place;
use crate::{BrokerError, Cleanup, Isolation, Offset, OffsetSpec, TopicPartition};

async fn delete(setting: &Setting, before: &[(&TopicPartition, u64)]) -> Result<(), BrokerError> {
    let before: Vec<_> = before.iter().map(|(at, offset)| ((*at).clone(), Offset::new(*offset))).collect();
    setting.within("a deletion", setting.broker.delete_records(&before)).await
}

/// Checks that a partition begins at exactly the given offset, even inside a batch, and that later
/// records stay.
pub async fn records_before_an_offset_are_deleted(setting: &Setting) {
    let topic = setting.topic(2).await;
    let (one, two) = (place(&topic, 0), place(&topic, 1));
    for texts in [["a", "b", "c"], ["d", "e", "f"]] {
        setting.produce(&one, &texts).await;
        setting.produce(&two, &texts).await;
    }
    delete(setting, &[(&one, 4), (&two, 2)]).await.unwrap();
    assert_eq!(setting.offset(&one, OffsetSpec::Earliest).await, Offset::new(4));
    assert_eq!(setting.offset(&two, OffsetSpec::Earliest).await, Offset::new(2));
    assert_eq!(setting.offset(&one, OffsetSpec::Latest).await, Offset::new(6));
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["e", "f", "c", "d", "e", "f"]);
    let first = setting.offset(&one, OffsetSpec::At(crate::Timestamp::from_millis(0))).await;
    assert_eq!(first, Offset::new(4), "what is deleted is not found by time either");

    let mut reader = setting.broker.reader(Isolation::ReadCommitted).unwrap();
    reader.assign(&one, Offset::new(3)).unwrap();
    let refused = setting.within("an answer", reader.poll()).await;
    assert!(matches!(refused, Err(BrokerError::OffsetOutOfRange { offset, start, .. })
        if offset.get() == 3 && start.get() == 4));
}

/// Checks that a repeated deletion, or one before the partition's start, changes nothing.
pub async fn a_deletion_may_be_repeated(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    setting.produce(&at, &["a", "b", "c"]).await;
    for before in [2, 2, 1, 0] {
        delete(setting, &[(&at, before)]).await.unwrap();
        assert_eq!(setting.offset(&at, OffsetSpec::Earliest).await, Offset::new(2));
    }
    delete(setting, &[]).await.unwrap();
}

/// Checks that all records can be deleted, and that new records continue at the next offset.
pub async fn a_partition_may_be_emptied(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    setting.produce(&at, &["a", "b"]).await;
    delete(setting, &[(&at, 2)]).await.unwrap();
    assert_eq!(setting.offset(&at, OffsetSpec::Earliest).await, Offset::new(2));
    assert!(setting.read_all(&topic, Isolation::ReadCommitted).await.is_empty());
    setting.produce(&at, &["c"]).await;
    let read = setting.read_all(&topic, Isolation::ReadCommitted).await;
    assert_eq!((values(&read), read[0].offset), (vec!["c".to_owned()], Offset::new(2)));
}

/// Checks that a deletion is refused for an offset after the end, for a missing partition or topic,
/// and for a topic with only compaction.
pub async fn a_deletion_that_cannot_be_is_refused(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    setting.produce(&at, &["a", "b"]).await;
    let refused = delete(setting, &[(&at, 3)]).await;
    assert!(
        matches!(&refused, Err(BrokerError::OffsetOutOfRange { partition, offset, end, .. })
            if *partition == at && offset.get() == 3 && end.get() == 2),
        "{refused:?}"
    );
    assert_eq!(setting.offset(&at, OffsetSpec::Earliest).await, Offset::ZERO);
    let refused = delete(setting, &[(&place(&topic, 1), 0)]).await;
    assert!(matches!(refused, Err(BrokerError::UnknownPartition { .. })), "{refused:?}");
    let missing = setting.name("missing");
    let refused = delete(setting, &[(&place(&missing, 0), 0)]).await;
    assert!(matches!(&refused, Err(BrokerError::UnknownTopic { topic }) if *topic == missing), "{refused:?}");

    let compacted = place(&setting.topic_with(1, Cleanup::Compact).await, 0);
    setting.produce(&compacted, &["a", "b"]).await;
    let refused = delete(setting, &[(&compacted, 1)]).await;
    assert!(matches!(refused, Err(BrokerError::InvalidState(_))), "{refused:?}");
}
