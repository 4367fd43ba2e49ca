//! A codec that refuses some rows, so that an agent can write a row that cannot be encoded.

use marlowe::codec::{Codec, CodecError, Json};

use crate::rows::List;

/// The entry that cannot be encoded.
pub(crate) const UNWRITABLE: &str = "!";

/// A codec of JSON that refuses rows with a certain entry.
pub(crate) struct Picky;

impl Codec<List> for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn encode(&self, value: &List, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if value.iter().any(|entry| entry == UNWRITABLE) {
            return Err(CodecError::new("a row that can be written", "it has an entry that cannot"));
        }
        Json.encode(value, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<List, CodecError> {
        Json.decode(bytes)
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        <Json as Codec<List>>::to_json(&Json, bytes)
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        <Json as Codec<List>>::encode_json(&Json, json, out)
    }
}
