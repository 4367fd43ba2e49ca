//! The entry points for the project's fuzzers: reading every kind of value in a folder's tables,
//! and checks of what is accepted. They are public for `marlowe-fuzz` only.

use std::sync::Arc;

use arbitrary::Unstructured;
use marlowe_broker::{Header, NewRecord, RecordBatch, Timestamp, TopicConfig};

use crate::batch::Batch;
use crate::staging::Staging;
use crate::storage::{Outline, format};
use crate::topic::Topic;

/// Reads a value as a folder stores it, and checks it if it is accepted. Returns `None` if it is
/// refused.
///
/// The first byte names the kind of value: a batch (`b`), a topic (`t`), an extent (`e`), what a
/// group reads (`r`), a position (`p`), the key of a position (`k`), or records to write (`w`).
///
/// # Panics
/// When a value is accepted and breaks a rule that every accepted value must keep. This is a
/// finding.
pub fn folder(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'b' => batch(bytes),
        b't' => topic(bytes),
        b'e' => extent(bytes),
        b'r' => reads(bytes),
        b'p' => position(bytes),
        b'k' => position_key(bytes),
        b'w' => written(bytes),
        _ => None,
    }
}

/// Returns an accepted input of each kind, as a broker writes it.
pub fn folder_seeds() -> Vec<Vec<u8>> {
    let headers = [Header::new("why", b"because"), Header { name: "none", value: None }];
    let record = |key, value, headers| NewRecord { timestamp: Timestamp::from_millis(7), key, value, headers };
    let mut staging = Staging::new(SPLIT);
    for record in [
        record(Some(&b"key"[..]), Some(&b"value"[..]), &headers[..]),
        record(None, Some(b""), &[]),
        record(Some(b"gone"), None, &[]),
    ] {
        staging.push(&record, record.size());
    }
    let plain = staging.take_at(5, 9);
    for index in 0..plain.len() {
        staging.copy(&plain, index, 2 * index as u32, Timestamp::from_millis(99));
    }
    let stamped = staging.take_at(5, 12);
    let topic = |config: TopicConfig| {
        let bytes = format::write_topic(&Topic::new(&config, std::time::Duration::ZERO, 3, &[]), 3);
        [b"t\x05words".as_slice(), &bytes].concat()
    };
    let words = TopicConfig::new("words", 4);
    let week = std::time::Duration::from_secs(7 * 24 * 60 * 60);
    vec![
        kind(b'b', &bytes_of(&plain)),
        kind(b'b', &bytes_of(&stamped)),
        topic(words.clone()),
        topic(words.clone().cleanup(marlowe_broker::Cleanup::Compact).tombstone_retention(week)),
        topic(words.cleanup(marlowe_broker::Cleanup::Delete { retention: Some(week) })),
        kind(b'e', [3u64, 10, 5, 100, 200].map(u64::to_le_bytes).as_flattened()),
        kind(b'r', b"\x05\0\0\0words\0\x04\0\0\0more\x01"),
        kind(b'p', b"\x07\0\0\0\0\0\0\0log=app-t-positions"),
        kind(b'k', &format::position_key(1, 2)),
        kind(b'w', b"\x01\x02\x03\x04\x05\x06\x07\x08key and value and the rest of it, of which records are made"),
    ]
}

/// The bytes after which a batch is closed. They are few, so that there are many batches.
const SPLIT: usize = 1024;

fn kind(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

fn bytes_of(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = format::write_batch(batch, &mut bytes);
    assert!(written.is_ok() && bytes.len() == format::batch_size(batch));
    bytes
}

/// A record as it was read from a batch.
#[derive(Debug, PartialEq, Eq)]
struct Record<'a> {
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<Header<'a>>,
}

fn records(batch: &dyn RecordBatch) -> Vec<Record<'_>> {
    let record = |index| {
        let record = batch.get(index);
        let (timestamp, headers) = (record.timestamp.millis(), batch.headers(index));
        Record { timestamp, key: record.key, value: record.value, headers }
    };
    (0..batch.len()).map(record).collect()
}

fn batch(bytes: &[u8]) -> Option<()> {
    let outline = format::read_outline(bytes);
    let batch = format::read_batch(bytes)?;
    assert_eq!(bytes_of(&batch), bytes, "it is written as it was");
    let Outline { base, next, newest, bytes: size } = outline?;
    assert_eq!((base, next, newest, size), (batch.base(), batch.next(), batch.newest(), batch.bytes()));
    let all = records(&*batch);
    let mut last = None;
    for index in 0..batch.len() {
        let offset = batch.offset(index);
        assert!(base <= offset && offset < next && last.is_none_or(|last| last < offset));
        last = Some(offset);
        assert_eq!(batch.key(index), all[index].key);
        let rest = batch.clone().from(offset);
        assert_eq!(records(&*rest), all[index..], "who begins within it reads the rest");
        assert!(rest.size() <= batch.size() && rest.next_offset() == batch.next_offset());
        assert!(batch.stamp(index).is_none() || all[index].value.is_none());
    }
    compacted(&batch);
    Some(())
}

/// Checks that records are the same after the cleaner has copied them, and that tombstones then
/// have a stamp.
fn compacted(batch: &Arc<Batch>) {
    let mut staging = Staging::new(SPLIT);
    for (index, entry) in batch.entries().iter().enumerate() {
        staging.copy(batch, index, entry.delta, Timestamp::from_millis(99));
    }
    let copied = staging.take_at(batch.base(), batch.next());
    let read = format::read_batch(&bytes_of(&copied)).expect("what the cleaner writes is read");
    assert_eq!(records(&*read), records(&**batch));
    for index in 0..read.len() {
        assert_eq!(read.stamp(index).is_some(), read.get(index).value.is_none());
        assert!(batch.stamp(index).is_none_or(|stamp| read.stamp(index) == Some(stamp)), "a stamp stays");
    }
}

type Drawn<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<(&'a str, Option<&'a [u8]>)>);

fn written(bytes: &[u8]) -> Option<()> {
    let drawn: Vec<Drawn<'_>> = Unstructured::new(bytes).arbitrary().ok()?;
    let mut staging = Staging::new(SPLIT);
    let mut sent = Vec::new();
    for (timestamp, key, value, headers) in &drawn {
        let headers: Vec<Header<'_>> = headers.iter().map(|(name, value)| Header { name, value: *value }).collect();
        let record =
            NewRecord { timestamp: Timestamp::from_millis(*timestamp), key: *key, value: *value, headers: &headers };
        staging.push(&record, record.size());
        sent.push(Record { timestamp: *timestamp, key: *key, value: *value, headers });
    }
    let mut read = Vec::new();
    let mut next = 5;
    for batch in staging.take() {
        let mut batch = Arc::try_unwrap(batch).expect("nobody else has it");
        batch.place(next, read.is_empty());
        next = batch.next();
        read.push(format::read_batch(&bytes_of(&batch)).expect("what is written is read"));
    }
    assert_eq!(read.iter().flat_map(|batch| records(&**batch)).collect::<Vec<_>>(), sent);
    Some(())
}

fn topic(bytes: &[u8]) -> Option<()> {
    let (length, bytes) = bytes.split_first()?;
    let (name, bytes) = bytes.split_at_checked(usize::from(*length))?;
    let (config, first) = format::read_topic(name, bytes)?;
    let topic = Topic::new(&config, std::time::Duration::from_secs(1), first, &[]);
    assert_eq!(topic.partitions.len(), config.partitions as usize);
    assert_eq!(format::write_topic(&topic, first), bytes, "it is written as it was");
    Some(())
}

fn extent(bytes: &[u8]) -> Option<()> {
    let extent = format::read_extent(bytes)?;
    assert!(extent.start <= extent.end);
    assert_eq!(format::write_extent(&extent), bytes, "it is written as it was");
    Some(())
}

fn reads(bytes: &[u8]) -> Option<()> {
    let reads = format::read_reads(bytes)?;
    assert_eq!(format::write_reads(&reads), bytes, "it is written as it was");
    Some(())
}

fn position(bytes: &[u8]) -> Option<()> {
    let position = format::read_position(bytes)?;
    assert_eq!(format::write_position(&position), bytes, "it is written as it was");
    Some(())
}

fn position_key(bytes: &[u8]) -> Option<()> {
    let (group, partition) = format::read_position_key(bytes)?;
    assert_eq!(format::position_key(group, partition), bytes, "it is written as it was");
    Some(())
}
