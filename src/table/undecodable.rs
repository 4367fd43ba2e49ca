//! Rows that do not decode: the error that names them, and the counter for them.

use std::fmt;
use std::sync::Arc;

use marlowe_broker::Partition;

use crate::codec::{Codec, CodecError, Key};

/// A row that is there and does not decode: the table's type or codec changed since it was written, or its bytes are damaged.
///
/// It can be replaced and removed. Scans pass over it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndecodableRow {
    /// The table.
    pub table: Arc<str>,
    /// The partition, where it is known: a copy of a global table does not tell it of a row whose key does not decode.
    pub partition: Option<Partition>,
    /// The key in JSON, or its bytes with escapes where the key does not decode.
    pub key: String,
    /// What is wrong with the key or the value.
    pub reason: String,
}

impl UndecodableRow {
    /// The row at a key in the store's form.
    pub(crate) fn new<K: Key>(
        table: Arc<str>,
        partition: Option<Partition>,
        ordered: &[u8],
        reason: impl fmt::Display,
    ) -> Self {
        let key = match K::decode_ordered(ordered) {
            Ok(key) => key.to_json().to_string(),
            Err(_) => escaped(ordered),
        };
        Self { table, partition, key, reason: reason.to_string() }
    }
}

impl fmt::Display for UndecodableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table `{}`", self.table)?;
        if let Some(partition) = self.partition {
            write!(f, ", partition {partition}")?;
        }
        write!(
            f,
            ": the row of key {} does not decode: {}; replace or remove the row, or declare the table with types and a codec that \
             read it",
            self.key, self.reason
        )
    }
}

impl std::error::Error for UndecodableRow {}

/// Bytes that are no key, for people.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("b\"{shown}{more}\"")
}

/// A row in the store's form, as its types.
pub(crate) fn decode_row<K: Key, V: 'static>(
    codec: &dyn Codec<V>,
    key: &[u8],
    value: &[u8],
) -> Result<(K, V), CodecError> {
    Ok((K::decode_ordered(key)?, codec.decode(value)?))
}

/// The rows of a scan, without those that do not decode, which a warning tells of.
pub(crate) fn pass_over<T>(rows: impl IntoIterator<Item = Result<T, UndecodableRow>>) -> Vec<T> {
    let mut bad = Vec::new();
    let good = rows.into_iter().filter_map(|row| row.map_err(|row| bad.push(row)).ok()).collect();
    if let Some(first) = bad.first() {
        tracing::warn!("a scan passed over {} rows that do not decode, the first of them: {first}", bad.len());
    }
    good
}
