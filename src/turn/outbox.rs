//! [`Outbox`]: records that events have sent and that wait for a commit.

use marlowe_broker::{Header, NewRecord, Partition, Timestamp};

/// A topic that a lane writes to, by the lane's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OutTopic(pub(crate) u16);

/// Records that wait to be sent. Their bytes lie one after the other in one buffer.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    records: Vec<Outgoing>,
}

struct Outgoing {
    topic: OutTopic,
    partition: Partition,
    timestamp: Timestamp,
    key: Option<u32>,
    value: Option<u32>,
    headers: u32,
}

/// The length that stands for a header without a value.
const NULL: u32 = u32::MAX;

impl Outbox {
    /// Appends a record. Its key, value and headers are copied.
    pub(crate) fn push(&mut self, topic: OutTopic, partition: Partition, record: NewRecord<'_>) {
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        for header in record.headers {
            for part in [Some(header.name.as_bytes()), header.value] {
                self.bytes.extend_from_slice(&part.map_or(NULL, |part| part.len() as u32).to_le_bytes());
                self.bytes.extend_from_slice(part.unwrap_or_default());
            }
        }
        self.records.push(Outgoing {
            topic,
            partition,
            timestamp: record.timestamp,
            key: record.key.map(|key| key.len() as u32),
            value: record.value.map(|value| value.len() as u32),
            headers: record.headers.len() as u32,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Outgoing>()
    }

    /// Moves all records of `other` to the end of this outbox.
    pub(crate) fn append(&mut self, other: &mut Outbox) {
        self.bytes.append(&mut other.bytes);
        self.records.append(&mut other.records);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Calls `each` with every record, in their order. Afterwards the outbox is empty.
    pub(crate) fn drain<E>(
        &mut self,
        mut each: impl FnMut(OutTopic, Partition, NewRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.bytes.as_slice();
        let mut take = |length: usize| {
            let (part, after) = rest.split_at(length);
            rest = after;
            part
        };
        for record in self.records.drain(..) {
            let key = record.key.map(|length| take(length as usize));
            let value = record.value.map(|length| take(length as usize));
            let mut headers = Vec::new();
            for _ in 0..record.headers {
                let mut part = || match take(4).try_into().map_or(0, u32::from_le_bytes) {
                    NULL => None,
                    length => Some(take(length as usize)),
                };
                let (name, value) = (part().unwrap_or_default(), part());
                headers.push(Header { name: std::str::from_utf8(name).unwrap_or_default(), value });
            }
            let new = NewRecord { timestamp: record.timestamp, key, value, headers: &headers };
            each(record.topic, record.partition, new)?;
        }
        self.bytes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut first = Outbox::default();
        let mut second = Outbox::default();
        let headers = [Header::new("why", b"because"), Header { name: "null", value: None }, Header::new("empty", b"")];
        let record = |key, headers| NewRecord {
            timestamp: Timestamp::from_millis(7),
            key,
            value: Some(b"v".as_slice()),
            headers,
        };
        first.push(OutTopic(1), Partition::new(2), record(Some(b"k".as_slice()), &[]));
        second.push(OutTopic(3), Partition::new(4), record(None, &headers));
        first.append(&mut second);
        assert!(second.is_empty());
        let mut seen = Vec::new();
        first
            .drain(|topic, partition, record| {
                let headers: Vec<_> = record
                    .headers
                    .iter()
                    .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect();
                seen.push((topic, partition.get(), record.key.map(<[u8]>::to_vec), headers));
                Ok::<(), ()>(())
            })
            .unwrap();
        assert_eq!(
            seen,
            [
                (OutTopic(1), 2, Some(b"k".to_vec()), vec![]),
                (
                    OutTopic(3),
                    4,
                    None,
                    [("why", Some(b"because".to_vec())), ("null", None), ("empty", Some(Vec::new()))]
                        .map(|(name, value)| (name.to_owned(), value))
                        .to_vec()
                ),
            ]
        );
        assert!(first.is_empty());
    }
}
