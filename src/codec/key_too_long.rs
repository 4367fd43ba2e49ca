//! The error for keys that are too long, and the check that returns it.

use std::sync::Arc;

use super::key::Key;

/// The error that a key is too long for a row of a table. The limit is
/// [`MAX_KEY_BYTES`](crate::codec::MAX_KEY_BYTES).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "table `{table}`: a key of {len} bytes is over the limit of {limit} bytes (it begins {key}): use a shorter key, for instance \
     a hash of the long part, and keep the long part in the value"
)]
pub struct KeyTooLong {
    /// The table.
    pub table: Arc<str>,
    /// The start of the key, as JSON.
    pub key: String,
    /// The length of the key's ordered form, in bytes.
    pub len: usize,
    /// The longest allowed length, in bytes.
    pub limit: usize,
}

impl KeyTooLong {
    /// Checks that `key` is not too long for a row of `table`. Writes its ordered form to `room`.
    pub(crate) fn check<K: Key>(table: &Arc<str>, key: &K, limit: usize, room: &mut Vec<u8>) -> Result<(), KeyTooLong> {
        room.clear();
        key.encode_ordered(room);
        if room.len() <= limit { Ok(()) } else { Err(Self::of(table, &key.to_json(), room.len(), limit)) }
    }

    #[cold]
    pub(crate) fn of(table: &Arc<str>, key: &serde_json::Value, len: usize, limit: usize) -> Self {
        const SHOWN: usize = 40;
        let mut shown: String = key.to_string();
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push('…');
        }
        Self { table: table.clone(), key: shown, len, limit }
    }
}
