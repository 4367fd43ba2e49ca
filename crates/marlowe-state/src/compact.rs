//! Short byte strings that need no allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// A byte string that takes 24 bytes. Up to 22 bytes are stored inside it, more in an allocation.
///
/// Most keys and counters are short. Stored inside, they cost no allocation and no second access to
/// memory.
#[derive(Clone)]
pub(crate) enum CompactBytes {
    Inside { len: u8, bytes: [u8; INSIDE] },
    Outside(Box<[u8]>),
}

/// The number of bytes that fit next to the length and the enum's tag.
const INSIDE: usize = 22;

impl CompactBytes {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        if bytes.len() > INSIDE {
            return Self::Outside(bytes.into());
        }
        let mut inside = [0; INSIDE];
        inside[..bytes.len()].copy_from_slice(bytes);
        Self::Inside { len: bytes.len() as u8, bytes: inside }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inside { len, bytes } => &bytes[..usize::from(*len)],
            Self::Outside(bytes) => bytes,
        }
    }

    /// Replaces the bytes by `new`. An allocation of the right size is used again.
    pub(crate) fn overwrite(&mut self, new: &[u8]) {
        match self {
            Self::Outside(bytes) if bytes.len() == new.len() => bytes.copy_from_slice(new),
            other => *other = Self::new(new),
        }
    }
}

impl PartialEq for CompactBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for CompactBytes {}

impl PartialOrd for CompactBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CompactBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

// `CompactBytes` are ordered as slices are, so an ordered set of them can be searched with a slice.
impl Borrow<[u8]> for CompactBytes {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_three_words_and_holds_any_length() {
        assert_eq!(size_of::<CompactBytes>(), 24);
        for len in [0, 1, 21, 22, 23, 24, 500] {
            let bytes = vec![7; len];
            let mut compact = CompactBytes::new(&bytes);
            assert_eq!(compact.as_slice(), bytes);
            for new in [vec![8; len], vec![9; 3], vec![1; 40]] {
                compact.overwrite(&new);
                assert_eq!(compact.as_slice(), new);
            }
        }
    }
}
