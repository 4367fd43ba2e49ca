//! The arguments that methods accept as a key.

use crate::codec::Key;

/// A value that is accepted as a key: the key itself, a reference to it, or `&str` for a `String`
/// (or for a `CompactString`, with the feature `compact_str`).
pub trait AsKey<K> {
    /// Calls `to` with a reference to the key. A reference and an owned key are passed on without a
    /// copy.
    fn lend<R>(self, to: impl FnOnce(&K) -> R) -> R;

    /// Returns the key, owned.
    fn into_key(self) -> K;
}

impl<K: Key> AsKey<K> for K {
    fn lend<R>(self, to: impl FnOnce(&K) -> R) -> R {
        to(&self)
    }

    fn into_key(self) -> K {
        self
    }
}

impl<K: Key> AsKey<K> for &K {
    fn lend<R>(self, to: impl FnOnce(&K) -> R) -> R {
        to(self)
    }

    fn into_key(self) -> K {
        self.clone()
    }
}

impl AsKey<String> for &str {
    fn lend<R>(self, to: impl FnOnce(&String) -> R) -> R {
        to(&self.to_owned())
    }

    fn into_key(self) -> String {
        self.to_owned()
    }
}

#[cfg(feature = "compact_str")]
impl AsKey<compact_str::CompactString> for &str {
    fn lend<R>(self, to: impl FnOnce(&compact_str::CompactString) -> R) -> R {
        to(&compact_str::CompactString::new(self))
    }

    fn into_key(self) -> compact_str::CompactString {
        compact_str::CompactString::new(self)
    }
}
