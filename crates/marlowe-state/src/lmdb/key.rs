//! How keys are stored. LMDB has no empty key, so one has to be made of it, and the order has to stay.
//!
//! A key of zero bytes only (the empty key is one) is stored with one zero more. No two keys come to share their bytes
//! by that, and the order stays: such a key sorts before everything it is not a prefix of, and before its own extensions,
//! with one zero more as without. All other keys, nearly all there are, are stored as they are.

/// The key as it is stored; `buffer` is room for it if it is not stored as it is.
pub(crate) fn to_stored<'a>(key: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if !is_zeros(key) {
        return key;
    }
    buffer.clear();
    buffer.resize(key.len() + 1, 0);
    buffer
}

/// The key that is stored as `stored`.
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

    /// Keys with many zeros, and many prefixes of each other.
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
