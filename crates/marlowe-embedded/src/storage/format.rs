//! The format of keys and values in a folder. Numbers in keys are big-endian, so that the keys sort
//! by them. All other numbers are little-endian.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, CommittedOffset, Offset, Reads, TopicConfig, Unread};

use super::Outline;
use crate::batch::{Batch, Entry};
use crate::partition::Extent;
use crate::topic::{Topic, validate};

/// The version of the format in this file.
pub(crate) const VERSION: u32 = 2;

/// The size of a batch's header, in bytes: base, next, newest, number of entries, bytes of data.
const HEADER: usize = 32;

/// A value that is read from its front. Its methods return `None` when the rest is too short, which
/// does not happen in a sound folder.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }
}

/// Returns the key of a batch.
pub(crate) fn batch_key(partition: u32, base: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&base.to_be_bytes());
    key
}

/// Returns the key of a group's position in a partition.
pub(crate) fn position_key(group: u32, partition: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// Returns the group and the partition in a position's key.
pub(crate) fn read_position_key(key: &[u8]) -> Option<(u32, u32)> {
    let (group, partition) = key.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*group), u32::from_be_bytes(partition.try_into().ok()?)))
}

pub(crate) fn batch_size(batch: &Batch) -> usize {
    HEADER + batch.bytes()
}

/// Writes the bytes of a batch to `to`.
pub(crate) fn write_batch(batch: &Batch, mut to: impl std::io::Write) -> std::io::Result<()> {
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(&batch.base().to_le_bytes());
    header[8..16].copy_from_slice(&batch.next().to_le_bytes());
    header[16..24].copy_from_slice(&batch.newest().to_le_bytes());
    header[24..28].copy_from_slice(&(batch.entries().len() as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(batch.data().len() as u32).to_le_bytes());
    to.write_all(&header)?;
    // Writes many entries at once, because each write is added to a checksum.
    let mut room = [0; 128 * Entry::SIZE];
    for entries in batch.entries().chunks(128) {
        for (bytes, entry) in room.chunks_exact_mut(Entry::SIZE).zip(entries) {
            bytes[0..4].copy_from_slice(&entry.delta.to_le_bytes());
            bytes[4..8].copy_from_slice(&entry.start.to_le_bytes());
            bytes[8..12].copy_from_slice(&entry.key.to_le_bytes());
            bytes[12..16].copy_from_slice(&entry.value.to_le_bytes());
            bytes[16..24].copy_from_slice(&entry.timestamp.to_le_bytes());
        }
        to.write_all(&room[..entries.len() * Entry::SIZE])?;
    }
    to.write_all(batch.data())
}

pub(crate) fn read_outline(blob: &[u8]) -> Option<Outline> {
    let mut input = Input(blob);
    let (base, next, newest) = (input.u64()?, input.u64()?, input.i64()?);
    let (count, data) = (input.u32()? as usize, input.u32()? as usize);
    Some(Outline { base, next, newest, bytes: count * Entry::SIZE + data })
}

/// Reads a batch, and checks once what all later uses rely on: records follow each other within the
/// batch's bytes, and their offsets grow and lie within the batch.
pub(crate) fn read_batch(blob: &[u8]) -> Option<Arc<Batch>> {
    let mut input = Input(blob);
    let (base, next, newest) = (offset(&mut input)?, offset(&mut input)?, input.i64()?);
    let (count, size) = (input.u32()? as usize, input.u32()? as usize);
    let index = input.bytes(count.checked_mul(Entry::SIZE)?)?;
    let data = input.bytes(size)?;
    let mut entries = Vec::with_capacity(count);
    for bytes in index.chunks_exact(Entry::SIZE) {
        let mut input = Input(bytes);
        let entry = Entry {
            delta: input.u32()?,
            start: input.u32()?,
            key: input.u32()?,
            value: input.u32()?,
            timestamp: input.i64()?,
        };
        entries.push(entry);
    }
    let batch = Batch::at(base, next, entries, data.to_vec());
    (input.0.is_empty() && batch.newest() == newest && batch.is_sound()).then(|| Arc::new(batch))
}

/// Reads an offset. It is refused if Kafka could not have it, so that adding to it does not
/// overflow.
fn offset(input: &mut Input<'_>) -> Option<u64> {
    input.u64().filter(|offset| i64::try_from(*offset).is_ok())
}

pub(crate) fn write_extent(extent: &Extent) -> [u8; 40] {
    let mut bytes = [0; 40];
    let numbers = [extent.start, extent.end, extent.cleaned, extent.clean_bytes, extent.dirty_bytes];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

pub(crate) fn read_extent(bytes: &[u8]) -> Option<Extent> {
    let mut input = Input(bytes);
    let extent = Extent {
        start: offset(&mut input)?,
        end: offset(&mut input)?,
        cleaned: offset(&mut input)?,
        clean_bytes: offset(&mut input)?,
        dirty_bytes: offset(&mut input)?,
    };
    (input.0.is_empty() && extent.start <= extent.end).then_some(extent)
}

pub(crate) fn write_topic(topic: &Topic, first: u32) -> Vec<u8> {
    let Topic { description, own_tombstone_retention, .. } = topic;
    let (kind, retention) = match description.cleanup {
        Cleanup::Delete { retention: None } => (0u32, Duration::ZERO),
        Cleanup::Delete { retention: Some(retention) } => (1, retention),
        Cleanup::Compact => (2, Duration::ZERO),
        Cleanup::CompactDelete { retention } => (3, retention),
    };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(28);
    bytes.extend(first.to_le_bytes());
    bytes.extend(description.partitions.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(millis(retention));
    bytes.extend(own_tombstone_retention.map(millis).into_iter().flatten());
    bytes
}

/// Reads a topic and the id of its first partition. A topic that could not have been created is
/// refused.
pub(crate) fn read_topic(name: &[u8], bytes: &[u8]) -> Option<(TopicConfig, u32)> {
    let mut input = Input(bytes);
    let (first, partitions, kind) = (input.u32()?, input.u32()?, input.u32()?);
    let retention = Duration::from_millis(input.u64()?);
    let cleanup = match kind {
        0 if retention.is_zero() => Cleanup::Delete { retention: None },
        1 => Cleanup::Delete { retention: Some(retention) },
        2 if retention.is_zero() => Cleanup::Compact,
        3 => Cleanup::CompactDelete { retention },
        _ => return None,
    };
    let mut config = TopicConfig::new(std::str::from_utf8(name).ok()?, partitions).cleanup(cleanup);
    // Earlier versions did not write this.
    config.tombstone_retention = input.u64().map(Duration::from_millis);
    first.checked_add(partitions)?;
    (input.0.is_empty() && validate(&config).is_ok()).then_some((config, first))
}

/// Writes what a group reads: for each topic, the length of its name, the name, and 1 if unread
/// records may expire, otherwise 0.
pub(crate) fn write_reads(reads: &[Reads]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Reads { topic, unread } in reads {
        bytes.extend((topic.len() as u32).to_le_bytes());
        bytes.extend(topic.as_bytes());
        bytes.push(u8::from(*unread == Unread::Expire));
    }
    bytes
}

pub(crate) fn read_reads(bytes: &[u8]) -> Option<Vec<Reads>> {
    let mut input = Input(bytes);
    let mut reads = Vec::new();
    while !input.0.is_empty() {
        let length = input.u32()? as usize;
        let topic = std::str::from_utf8(input.bytes(length)?).ok()?.into();
        let unread = match input.take()? {
            [0] => Unread::Keep,
            [1] => Unread::Expire,
            _ => return None,
        };
        reads.push(Reads { topic, unread });
    }
    Some(reads)
}

pub(crate) fn write_position(committed: &CommittedOffset) -> Vec<u8> {
    let mut bytes = committed.offset.get().to_le_bytes().to_vec();
    bytes.extend(committed.metadata.as_bytes());
    bytes
}

pub(crate) fn read_position(bytes: &[u8]) -> Option<CommittedOffset> {
    let mut input = Input(bytes);
    let offset = Offset::new(input.u64()?);
    Some(CommittedOffset { offset, metadata: std::str::from_utf8(input.0).ok()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use marlowe_broker::TopicConfig;

    use super::*;
    use crate::batch::Batch;
    use crate::topic::Topic;

    #[test]
    fn a_topic_is_read_as_it_was_written_by_earlier_versions_too() {
        let plain = TopicConfig::new("t", 3).cleanup(marlowe_broker::Cleanup::Compact);
        let chosen = plain.clone().tombstone_retention(Duration::from_millis(5));
        for config in [plain.clone(), chosen.clone()] {
            let bytes = write_topic(&Topic::new(&config, Duration::ZERO, 7, &[]), 7);
            assert_eq!(read_topic(b"t", &bytes), Some((config, 7)));
        }
        let of_before = &write_topic(&Topic::new(&chosen, Duration::ZERO, 7, &[]), 7)[..20];
        assert_eq!(read_topic(b"t", of_before), Some((plain, 7)));
    }

    #[test]
    fn a_damaged_batch_is_told_and_not_read() {
        assert!(read_batch(&[]).is_none());
        assert!(read_batch(&[0xff; 40]).is_none());
        let entry = crate::batch::Entry { delta: 0, start: 0, key: 5, value: 5, timestamp: 0 };
        let mut blob = Vec::new();
        write_batch(&Batch::new(vec![entry], vec![0; 9]), &mut blob).unwrap();
        assert!(read_batch(&blob).is_none(), "its record reaches past its bytes");
    }

    /// Returns whether two records can be read that `change` has changed before they were written.
    /// Each has a key and a value, and the first has a header.
    fn is_read(base: u64, next: u64, change: impl FnOnce(&mut [Entry; 2], &mut Vec<u8>)) -> bool {
        let entry = |delta, start| Entry { delta, start, key: 1, value: 1, timestamp: 7 };
        let (mut entries, mut data) = ([entry(0, 0), entry(1, 12)], b"kv\x01\0\0\0h\x01\0\0\0vkv".to_vec());
        change(&mut entries, &mut data);
        let mut blob = Vec::new();
        write_batch(&Batch::at(base, next, entries.to_vec(), data), &mut blob).unwrap();
        read_batch(&blob).is_some()
    }

    #[test]
    fn records_that_lie_over_each_other_are_no_batch() {
        assert!(is_read(5, 7, |_, _| {}) && is_read(5, 9, |entries, _| entries[1].delta = 3));
        type Change = fn(&mut [Entry; 2], &mut Vec<u8>);
        let changes: [Change; 9] = [
            |entries, _| entries[1].start = 1,
            |entries, _| entries[1].start = 11,
            |entries, _| entries[0].start = 12,
            |entries, _| entries.swap(0, 1),
            |entries, _| entries[0].value = 12,
            // The header's name or value is longer than what is left.
            |_, data| data[2] = 2,
            |_, data| data[7] = 2,
            |_, data| data.truncate(13),
            |_, data| data.push(0),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(!is_read(5, 7, change), "change {number}");
        }
    }

    #[test]
    fn offsets_beyond_their_batch_or_beyond_all_are_no_batch() {
        assert!(!is_read(5, 6, |_, _| {}), "the second record is beyond its end");
        assert!(!is_read(5, 7, |entries, _| entries[1].delta = 0), "two have one offset");
        assert!(!is_read(7, 5, |_, _| {}) && !is_read(u64::MAX - 1, u64::MAX, |_, _| {}));
        let mut blob = Vec::new();
        let entry = Entry { delta: 0, start: 0, key: 1, value: 1, timestamp: 7 };
        write_batch(&Batch::at(0, 1, vec![entry], b"kv".to_vec()), &mut blob).unwrap();
        assert!(read_batch(&blob).is_some() && read_batch(&[&blob[..], b"x"].concat()).is_none());
        blob[16] = 8;
        assert!(read_batch(&blob).is_none(), "retention would go by another time than its records'");
    }

    #[test]
    fn what_could_not_have_been_created_is_no_topic_and_no_extent() {
        let bytes = write_topic(&Topic::new(&TopicConfig::new("t", 3), Duration::ZERO, 7, &[]), 7);
        let changed = |place: usize, with: u32| {
            let mut bytes = bytes.clone();
            bytes[place..place + 4].copy_from_slice(&with.to_le_bytes());
            read_topic(b"t", &bytes)
        };
        assert!(changed(4, 100).is_some() && changed(4, u32::MAX).is_none(), "memory is taken for each partition");
        assert!(changed(0, u32::MAX - 1).is_none(), "its partitions have no numbers");
        assert!(changed(8, 4).is_none() && read_topic(b"a/b", &bytes).is_none());
        let extent = Extent { start: 3, end: 10, cleaned: 5, clean_bytes: 1, dirty_bytes: 2 };
        assert_eq!(read_extent(&write_extent(&extent)), Some(extent));
        assert_eq!(read_extent(&write_extent(&Extent { start: 11, ..extent })), None);
        assert_eq!(read_extent(&write_extent(&Extent { end: u64::MAX, ..extent })), None);
    }
}
