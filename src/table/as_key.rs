use crate::codec::Key;

/// What can be given where a key is asked for: the key itself, a reference to it, or `&str` for a `String` (or a
/// `CompactString`, feature `compact_str`).
pub trait AsKey<K> {
    /// Lends the key, without a copy where there is one to lend.
    fn lend<R>(self, to: impl FnOnce(&K) -> R) -> R;

    /// The key itself.
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
