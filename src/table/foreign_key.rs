//! The error for a handler that uses a key of another partition.

use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};

use crate::codec::Key;

/// The error that a handler used a key whose home is another partition.
///
/// Only the shard that owns a key may touch its row, because two owners would keep two rows. (Faust
/// writes such a key into the event's partition, where it becomes a second row.)
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "table `{table}`: key {key} belongs to partition {home} (by {partitioner}), but this event came on partition \
     {partition}{}; {}", agreement(.agrees), fix(.table, .agrees)
)]
pub struct ForeignKey {
    /// The table.
    pub table: Arc<str>,
    /// The key, as JSON.
    pub key: String,
    /// The partition of the event.
    pub partition: Partition,
    /// The key's home partition.
    pub home: Partition,
    /// The table's partitioner.
    pub partitioner: Partitioner,
    /// Another partitioner that would put the key into the event's partition, if there is one.
    pub agrees: Option<Partitioner>,
}

fn agreement(agrees: &Option<Partitioner>) -> String {
    match agrees {
        Some(partitioner) => format!(" (where {partitioner} would put it)"),
        None => String::new(),
    }
}

fn fix(table: &str, agrees: &Option<Partitioner>) -> String {
    let partitioner = match agrees {
        Some(partitioner) => format!(
            "declare `.partitioner(Partitioner::{partitioner:?})` on the table if its topic's producer partitions so, "
        ),
        None => String::new(),
    };
    format!(
        "{partitioner}`group_by` the key before the agent, `send` the change through `{table}.inbox()`, read it \
         through `{table}.view()`, or declare the table `.partition_local()` if each partition has its own rows"
    )
}

impl ForeignKey {
    /// Checks that `partition` is the home of `key`.
    pub(crate) fn check<K: Key>(
        table: &Arc<str>,
        key: &K,
        partitioner: Partitioner,
        partition: Partition,
        partitions: u32,
    ) -> Result<(), ForeignKey> {
        let mut bytes = Vec::with_capacity(32);
        key.encode(&mut bytes);
        let home = partitioner.partition(&bytes, partitions);
        if home == partition {
            return Ok(());
        }
        let agrees = Partitioner::ALL.into_iter().find(|other| other.partition(&bytes, partitions) == partition);
        Err(ForeignKey { table: table.clone(), key: key.to_json().to_string(), partition, home, partitioner, agrees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_key_partitions_partitioner_and_fix() {
        let key = "alice".to_owned();
        let home = Partitioner::Murmur2.partition(b"alice", 8);
        let crc = Partitioner::Crc32.partition(b"alice", 8);
        assert_ne!(home, crc);
        let table: Arc<str> = "users".into();
        assert_eq!(ForeignKey::check(&table, &key, Partitioner::Murmur2, home, 8), Ok(()));
        let error = ForeignKey::check(&table, &key, Partitioner::Murmur2, crc, 8).unwrap_err();
        assert_eq!(error.agrees, Some(Partitioner::Crc32));
        let text = error.to_string();
        for part in [
            "users",
            "\"alice\"",
            &format!("partition {home}"),
            &format!("partition {crc}"),
            "crc32",
            "group_by",
            "inbox",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
