use std::hash::Hasher;

use compact_str::CompactString;
use serde_json::Value as JsonValue;

use super::key::{hash_text, text};
use super::{CodecError, Key};

/// As that of `String`. A key of up to 24 bytes is within the row: an event that brings it allocates nothing for it, and who
/// looks for a row goes to memory once.
impl Key for CompactString {
    const ORDERED_AS_TOPIC: bool = true;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        text(bytes).map(CompactString::new)
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::decode(bytes)
    }

    fn to_json(&self) -> JsonValue {
        JsonValue::from(self.as_str())
    }

    fn hash_topic_form<H: Hasher>(bytes: &[u8], state: &mut H) -> bool {
        hash_text(bytes, state)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use compact_str::CompactString;
    use proptest::prelude::*;

    use crate::codec::Key;

    fn forms<K: Key>(key: &K) -> (Vec<u8>, Vec<u8>, String) {
        let (mut topic, mut stored) = (Vec::new(), Vec::new());
        key.encode(&mut topic);
        key.encode_ordered(&mut stored);
        (topic, stored, key.to_json().to_string())
    }

    proptest! {
        #[test]
        fn its_forms_are_those_of_a_string(text in any::<String>()) {
            let compact = CompactString::new(&text);
            let (topic, stored, json) = forms(&compact);
            prop_assert_eq!(forms(&text), (topic.clone(), stored.clone(), json));
            prop_assert_eq!(CompactString::decode(&topic).unwrap(), &text);
            let (mut hashed, mut expected) = (DefaultHasher::new(), DefaultHasher::new());
            prop_assert!(CompactString::hash_topic_form(&topic, &mut hashed));
            compact.hash(&mut expected);
            prop_assert_eq!(hashed.finish(), expected.finish());
            prop_assert_eq!(CompactString::decode_ordered(&stored).unwrap(), &text);
        }
    }

    #[test]
    fn what_is_no_text_is_no_key() {
        assert!(CompactString::decode(&[0xff]).unwrap_err().to_string().contains("UTF-8"));
    }
}
