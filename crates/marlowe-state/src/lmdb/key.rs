//! The stored form of keys. LMDB has no empty key, so the empty key needs another form, and the
//! order of keys must stay.
//!
//! A key that consists of zero bytes only is stored with one more zero byte. The empty key is such
//! a key. No two keys share a stored form. The order stays too: such a key sorts before each key
//! that it is not a prefix of, and before its own extensions. One more zero byte changes neither.
//! All other keys, which are nearly all keys, are stored as they are.

/// Returns the stored form of `key`. If it differs from the key, it is built in `buffer`.
pub(crate) fn to_stored<'a>(key: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if !is_zeros(key) {
        return key;
    }
    buffer.clear();
    buffer.resize(key.len() + 1, 0);
    buffer
}

/// Returns the key whose stored form is `stored`.
pub(crate) fn from_stored(stored: &[u8]) -> &[u8] {
    if is_zeros(stored) { &stored[1..] } else { stored }
}

fn is_zeros(key: &[u8]) -> bool {
    key.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Draws keys with many zeros, many of which are prefixes of each other.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![4 => Just(0_u8), 1 => 0..3_u8], 0..6)
    }

    proptest! {
        #[test]
        fn order_and_identity_are_kept(a in key(), b in key()) {
            let (mut room_a, mut room_b) = (Vec::new(), Vec::new());
            let (stored_a, stored_b) = (to_stored(&a, &mut room_a), to_stored(&b, &mut room_b));
            prop_assert_eq!(stored_a.cmp(stored_b), a.cmp(&b));
            prop_assert!(!stored_a.is_empty());
            prop_assert_eq!(from_stored(stored_a), &a);
        }
    }
}
