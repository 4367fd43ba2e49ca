use crate::codec::Key;

/// What can be given where a key is asked for: the key itself, a reference to it, or `&str` for a `String`.
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
