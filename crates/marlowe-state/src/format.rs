//! The form of keys and values in bytes.

/// The form of a table's keys and values in bytes, in the committed store and in the changelog.
pub trait RowFormat<K, V>: 'static {
    /// Appends the key as the store has it to `out`. The order of the bytes is the order of the
    /// keys.
    fn encode_key(&self, key: &K, out: &mut Vec<u8>);

    /// Reads a key of the store.
    fn decode_key(&self, bytes: &[u8]) -> Result<K, FormatError>;

    /// Appends the key as the changelog has it to `out`.
    fn encode_topic_key(&self, key: &K, out: &mut Vec<u8>);

    /// Returns whether the store and the changelog have the same bytes for every key. If so,
    /// `encode_topic_key` is not called.
    fn same_key_bytes(&self) -> bool;

    /// Appends the value to `out`.
    fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<(), FormatError>;

    /// Reads a value.
    fn decode_value(&self, bytes: &[u8]) -> Result<V, FormatError>;
}

/// The reason why a key or value could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);
