//! The log of a source's positions, which it keeps in addition to the group's position.

use marlowe_broker::{
    Broker, BrokerError, Cleanup, Destination, Isolation, NewRecord, Offset, OffsetSpec, Timestamp, TopicPartition,
    TransactionalProducer,
};

/// The log of a source's positions: the one partition of the topic in which the group also has the
/// source's position. Each transaction of the source writes to it. So it is never behind the
/// records that were fed, while the group's coordinator may hand out an older position.
pub(super) struct SourceLog {
    to: Option<Destination>,
    /// The position that was written last.
    pub(super) position: Option<u64>,
}

/// The key of the records.
const KEY: &[u8] = b"position";

impl SourceLog {
    /// Opens the log, and reads the position that was written last. If the topic is not compacted,
    /// a version of Marlowe made it that wrote nothing to it. It is then left alone.
    pub(super) async fn open(
        broker: &dyn Broker,
        producer: &mut dyn TransactionalProducer,
        at: &TopicPartition,
    ) -> Result<Self, BrokerError> {
        match broker.topic(&at.topic).await? {
            Some(topic) if topic.cleanup == Cleanup::Compact => {
                Ok(Self { to: Some(producer.destination(at)?), position: last(broker, at).await? })
            }
            _ => Ok(Self { to: None, position: None }),
        }
    }

    /// Adds the position `position` to a transaction.
    pub(super) fn write(&self, producer: &mut dyn TransactionalProducer, position: u64) -> Result<(), BrokerError> {
        let Some(to) = self.to else { return Ok(()) };
        let (value, timestamp) = (position.to_string(), Timestamp::default());
        producer.send(to, NewRecord { timestamp, key: Some(KEY), value: Some(value.as_bytes()), headers: &[] })
    }
}

/// Returns the last position in the log. Reads it as a whole, because it is compacted and so short.
async fn last(broker: &dyn Broker, at: &TopicPartition) -> Result<Option<u64>, BrokerError> {
    let bound = async |spec| {
        let found = broker.offsets(&at.topic, &[at.partition], spec).await?;
        Ok::<Offset, BrokerError>(found.first().copied().unwrap_or_default())
    };
    let (start, end) = (bound(OffsetSpec::Earliest).await?, bound(OffsetSpec::Latest).await?);
    let (mut last, mut read) = (None, start);
    if read < end {
        let mut reader = broker.reader(Isolation::ReadCommitted)?;
        reader.assign(at, start)?;
        while read < end {
            for fetched in reader.poll().await? {
                let records = (0..fetched.batch.len()).map(|index| fetched.batch.get(index));
                let positions = records.filter(|record| record.key == Some(KEY)).filter_map(|record| record.value);
                last = positions.filter_map(number).next_back().or(last);
                read = fetched.batch.next_offset();
            }
        }
    }
    Ok(last)
}

/// Parses a record's value.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
