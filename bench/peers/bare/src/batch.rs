use std::ops::Range;

/// What is committed together: records of the output topic, and how far the input is.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// The next offset to read of each topic (by its number) and partition that moved on.
    pub(crate) positions: Vec<(usize, i32, i64)>,
}

struct Record {
    partition: i32,
    key: Range<usize>,
    value: Range<usize>,
}

impl Batch {
    /// Adds a record; `value` writes its value.
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

    /// How many bytes the records have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records: partition, key, value.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i32, &[u8], &[u8])> {
        self.records
            .iter()
            .map(|record| (record.partition, &self.bytes[record.key.clone()], &self.bytes[record.value.clone()]))
    }
}
