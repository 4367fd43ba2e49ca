//! Rows that do not decode: the error that names one, and the scans that skip them.

use std::fmt;
use std::sync::Arc;

use marlowe_broker::Partition;

use crate::codec::{Codec, CodecError, Key};

/// The error that a row exists but does not decode. The table's type or codec has changed since the
/// row was written, or its bytes are damaged.
///
/// The row can be replaced and removed. Scans skip it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndecodableRow {
    /// The table.
    pub table: Arc<str>,
    /// The partition, if it is known. A copy of a global table does not know it if the row's key
    /// does not decode.
    pub partition: Option<Partition>,
    /// The key in JSON. If the key does not decode, its bytes with escapes.
    pub key: String,
    /// The reason why the key or the value does not decode.
    pub reason: String,
}

impl UndecodableRow {
    /// Describes the row whose key in ordered form is `ordered`.
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

/// Shows bytes that are not a key to people: at most 120 of them, with escapes.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("b\"{shown}{more}\"")
}

/// Decodes a row from its stored key and value.
pub(crate) fn decode_row<K: Key, V: 'static>(
    codec: &dyn Codec<V>,
    key: &[u8],
    value: &[u8],
) -> Result<(K, V), CodecError> {
    Ok((K::decode_ordered(key)?, codec.decode(value)?))
}

/// Returns the rows of a scan without those that do not decode. One warning covers all of these.
pub(crate) fn pass_over<T>(rows: impl IntoIterator<Item = Result<T, UndecodableRow>>) -> Vec<T> {
    let mut bad = Vec::new();
    let good = rows.into_iter().filter_map(|row| row.map_err(|row| bad.push(row)).ok()).collect();
    if let Some(first) = bad.first() {
        tracing::warn!("a scan skipped {} rows that do not decode, the first of them: {first}", bad.len());
    }
    good
}
