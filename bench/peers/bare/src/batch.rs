//! The records and positions that the bare loop commits together.

use std::ops::Range;

/// Records of the output topic and positions in the input that are committed together.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// The next offset to read in each partition that made progress: the topic's number, the
    /// partition, the offset.
    pub(crate) positions: Vec<(usize, i32, i64)>,
}

struct Record {
    partition: i32,
    key: Range<usize>,
    value: Range<usize>,
}

impl Batch {
    /// Adds a record, whose value is written by `value`.
    pub(crate) fn add<E>(
        &mut self,
        partition: i32,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        value(&mut self.bytes)?;
        self.records.push(Record { partition, key: start..middle, value: middle..self.bytes.len() });
        Ok(())
    }

    /// Returns the number of bytes in the keys and values of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the partition, key and value of each record.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i32, &[u8], &[u8])> {
        self.records
            .iter()
            .map(|record| (record.partition, &self.bytes[record.key.clone()], &self.bytes[record.value.clone()]))
    }
}
