//! Keys of topics, where a record may have no key.

use std::fmt::Debug;

use super::key::Key;
use super::{CodecError, short_type_name};

/// A type for the keys of a topic's records: a [`Key`], an `Option` of one (records with and
/// without keys), or `()` (no keys).
///
/// Records without a key go to the partitions in turn.
pub trait TopicKey: Clone + Debug + Send + Sync + 'static {
    /// Appends the key's topic form. Returns `true` if there is a key.
    fn encode_key(&self, out: &mut Vec<u8>) -> bool;

    /// Appends the key's ordered form, if it can be the key of a row.
    fn encode_row_key(&self, _out: &mut Vec<u8>) {}

    /// Reads the key of a record.
    ///
    /// # Errors
    /// If the bytes are not such a key, or if there is no key and the type needs one.
    fn decode_key(bytes: Option<&[u8]>) -> Result<Self, CodecError>;
}

impl<K: Key> TopicKey for K {
    fn encode_key(&self, out: &mut Vec<u8>) -> bool {
        self.encode(out);
        true
    }

    fn encode_row_key(&self, out: &mut Vec<u8>) {
        self.encode_ordered(out);
    }

    fn decode_key(bytes: Option<&[u8]>) -> Result<Self, CodecError> {
        match bytes {
            Some(bytes) => K::decode(bytes),
            None => Err(CodecError::new(
                format!("a key of type {}", short_type_name::<K>()),
                "the record has no key; declare the topic's key as an Option to take such records",
            )),
        }
    }
}

impl<K: Key> TopicKey for Option<K> {
    fn encode_key(&self, out: &mut Vec<u8>) -> bool {
        if let Some(key) = self {
            key.encode(out);
        }
        self.is_some()
    }

    fn encode_row_key(&self, out: &mut Vec<u8>) {
        if let Some(key) = self {
            key.encode_ordered(out);
        }
    }

    fn decode_key(bytes: Option<&[u8]>) -> Result<Self, CodecError> {
        bytes.map(K::decode).transpose()
    }
}

impl TopicKey for () {
    fn encode_key(&self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn decode_key(_: Option<&[u8]>) -> Result<Self, CodecError> {
        Ok(())
    }
}
