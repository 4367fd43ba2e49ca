//! How things are written in a folder. Numbers in keys are big-endian, so that they sort; elsewhere little-endian.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, CommittedOffset, Offset, Reads, TopicConfig, Unread};

use super::Outline;
use crate::batch::{Batch, Entry};
use crate::partition::Extent;
use crate::topic::Topic;

/// The version of all that is below.
pub(crate) const VERSION: u32 = 2;

/// What a batch begins with: base, next, newest, count of entries, bytes of data.
const HEADER: usize = 32;

/// Takes numbers and bytes off the front of a piece; `None` when it is too short, which a sound folder has none of.
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

/// The key of a batch.
pub(crate) fn batch_key(partition: u32, base: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&base.to_be_bytes());
    key
}

/// The key of a group's position in a partition.
pub(crate) fn position_key(group: u32, partition: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// The group and the partition of a position's key.
pub(crate) fn read_position_key(key: &[u8]) -> Option<(u32, u32)> {
    let (group, partition) = key.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*group), u32::from_be_bytes(partition.try_into().ok()?)))
}

pub(crate) fn batch_size(batch: &Batch) -> usize {
    HEADER + batch.bytes()
}

/// Writes a batch to where its bytes will lie.
pub(crate) fn write_batch(batch: &Batch, mut to: impl std::io::Write) -> std::io::Result<()> {
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(&batch.base().to_le_bytes());
    header[8..16].copy_from_slice(&batch.next().to_le_bytes());
    header[16..24].copy_from_slice(&batch.newest().to_le_bytes());
    header[24..28].copy_from_slice(&(batch.entries().len() as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(batch.data().len() as u32).to_le_bytes());
    to.write_all(&header)?;
    // Many at a time: each write is added to a checksum.
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

/// Reads a batch, and checks once that every record lies within it.
pub(crate) fn read_batch(blob: &[u8]) -> Option<Arc<Batch>> {
    let mut input = Input(blob);
    let (base, next, _) = (input.u64()?, input.u64()?, input.i64()?);
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
        if entry.end() > data.len() {
            return None;
        }
        entries.push(entry);
    }
    Some(Arc::new(Batch::at(base, next, entries, data.to_vec())))
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
    Some(Extent {
        start: input.u64()?,
        end: input.u64()?,
        cleaned: input.u64()?,
        clean_bytes: input.u64()?,
        dirty_bytes: input.u64()?,
    })
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

/// A topic and the id of its first partition.
pub(crate) fn read_topic(name: &[u8], bytes: &[u8]) -> Option<(TopicConfig, u32)> {
    let mut input = Input(bytes);
    let (first, partitions, kind) = (input.u32()?, input.u32()?, input.u32()?);
    let retention = Duration::from_millis(input.u64()?);
    let cleanup = match kind {
        0 => Cleanup::Delete { retention: None },
        1 => Cleanup::Delete { retention: Some(retention) },
        2 => Cleanup::Compact,
        3 => Cleanup::CompactDelete { retention },
        _ => return None,
    };
    let mut config = TopicConfig::new(std::str::from_utf8(name).ok()?, partitions).cleanup(cleanup);
    // Earlier versions did not write it.
    config.tombstone_retention = input.u64().map(Duration::from_millis);
    Some((config, first))
}

/// What a group reads: of each topic the length of its name, the name, and 1 where unread records may go.
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
}
