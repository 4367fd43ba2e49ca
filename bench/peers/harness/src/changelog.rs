//! The changelogs of all systems: reading an answer from them, and writing them for a restore.

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::PeersResult;
use crate::counts::Counts;
use crate::event::{Event, scattered};
use crate::kafka::{Batches, Cleanup, Kafka, PARTITIONS, flush, producer, send};
use crate::system::{System, Winner};
use crate::work::Job;

/// Returns the rows that the system has committed to its changelogs of `group`.
pub(crate) fn read(kafka: &Kafka, system: System, group: &str, job: Job) -> PeersResult<Counts> {
    let topics = kafka.topics_of(group)?;
    let mut changelogs = topics.iter().filter(|topic| system.is_changelog(topic, group, job)).peekable();
    if changelogs.peek().is_none() {
        return Err(format!("{} has written no changelog; the topics of {group}: {topics:?}", system.title()).into());
    }
    let mut counts = Counts::default();
    for changelog in changelogs {
        read_from(kafka, system, changelog, job, |_| 0, &mut counts)?;
    }
    Ok(counts)
}

/// Reads a changelog into `counts`. In each partition it starts at `starts(end)`, where `end` is
/// the partition's end.
pub(crate) fn read_from(
    kafka: &Kafka,
    system: System,
    changelog: &str,
    job: Job,
    starts: impl Fn(i64) -> i64,
    counts: &mut Counts,
) -> PeersResult<()> {
    let (encoding, winner) = (system.encoding(), system.winner(job));
    let mut unreadable = None;
    kafka.read(changelog, starts, |partition, offset, key, value| {
        let Some(key) = encoding.decode_key(key) else { return };
        match encoding.decode_count(value) {
            Some(count) if winner == Winner::Highest => {
                let highest = counts.get_mut(key.as_str().into());
                *highest = count.max(*highest);
            }
            Some(count) => *counts.get_mut(key.as_str().into()) = count,
            // The row was removed.
            None if value.is_empty() => *counts.get_mut(key.as_str().into()) = 0,
            None => unreadable = Some(format!("`{changelog}`[{partition}] at {offset}: no count of {key}: {value:?}")),
        }
    })?;
    unreadable.map_or(Ok(()), |reason| Err(reason.into()))
}

/// Returns the count of a page in a changelog that the harness writes. It is small, as real counts
/// are.
pub(crate) fn made_count(page: u64) -> u64 {
    page % 1000 + 1
}

/// Writes the changelog that the system would have written itself for a table of `keys` pages, in
/// no particular order.
pub(crate) fn make(kafka: &Kafka, system: System, changelog: &str, keys: u64) -> PeersResult<()> {
    kafka.create(changelog, PARTITIONS, Cleanup::Compact)?;
    let (producer, encoding) = (producer(&kafka.brokers(), Batches::Early)?, system.encoding());
    for number in 0..keys {
        let page = scattered(number, keys);
        let text = Event::page_key(page);
        let (key, value) = (encoding.encode_key(&text), encoding.encode_count(made_count(page)));
        // The partitioner chooses the partition by the page itself, however the changelog encodes
        // the key.
        let place = partition(text.as_bytes(), PARTITIONS);
        let mut record = BaseRecord::to(changelog).partition(place).key(&key[..]).payload(&value[..]);
        if let Some((name, value)) = encoding.header() {
            record = record.headers(OwnedHeaders::new().insert(Header { key: name, value: Some(value) }));
        }
        send(&producer, record)?;
    }
    flush(&producer)?;
    let there: i64 = kafka.ends(changelog)?.iter().sum();
    if there != keys as i64 {
        return Err(format!("`{changelog}` has {there} records, and {keys} were sent: try again").into());
    }
    Ok(())
}

/// Returns the partition that Kafka's own partitioner chooses, by murmur2 of the key.
fn partition(key: &[u8], partitions: i32) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (byte, shift) in rest.iter().zip([0, 8, 16]) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    (hash & 0x7fff_ffff) as i32 % partitions
}

#[cfg(test)]
mod tests {
    use super::partition;

    #[test]
    fn keys_go_where_kafka_puts_them() {
        // The expected values are from the tests of Kafka's `Utils.murmur2`.
        let hash = |key: &str| partition(key.as_bytes(), i32::MAX);
        assert_eq!(hash("21"), (-973_932_308i32) & 0x7fff_ffff);
        assert_eq!(hash("foobar"), (-790_332_482i32) & 0x7fff_ffff);
        assert_eq!(hash("a-little-bit-long-string"), (-985_981_536i32) & 0x7fff_ffff);
    }
}
