/// How a table's keys and values are written: in the committed store, and in the changelog.
pub trait RowFormat<K, V>: 'static {
    /// Appends the store's key to `out`. The order of the bytes is the order of the keys.
    fn encode_key(&self, key: &K, out: &mut Vec<u8>);

    /// Reads the store's key back.
    fn decode_key(&self, bytes: &[u8]) -> Result<K, FormatError>;

    /// Appends the changelog's key to `out`.
    fn encode_topic_key(&self, key: &K, out: &mut Vec<u8>);

    /// Whether the store's key and the changelog's are always equal; then `encode_topic_key` is not called.
    fn same_key_bytes(&self) -> bool;

    /// Appends the value to `out`.
    fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<(), FormatError>;

    /// Reads the value back.
    fn decode_value(&self, bytes: &[u8]) -> Result<V, FormatError>;
}

/// Why a key or value could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);
