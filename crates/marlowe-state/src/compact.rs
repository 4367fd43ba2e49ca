use std::borrow::Borrow;
use std::cmp::Ordering;

/// Bytes in 24 bytes: up to 22 of them lie inside, longer ones in an allocation of their own.
///
/// Most keys and counters are short. Inside the table they cost no allocation and no second trip to memory.
#[derive(Clone)]
pub(crate) enum CompactBytes {
    Inside { len: u8, bytes: [u8; INSIDE] },
    Outside(Box<[u8]>),
}

/// What fits beside the length and the enum's tag.
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

    /// Takes on `new`, in the memory it has when that is of the right size.
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

// Ordered as the slice is, so that ordered sets of it can be searched with one.
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
