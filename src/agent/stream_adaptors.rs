//! Streams that are made of an agent's events: keys with values, numbered values, and filtered
//! values.

use super::stream::{Events, WholeEvents};
use crate::codec::TopicKey;

impl<K: TopicKey, V: 'static> Events<K, V> {
    /// Returns a stream of keys with their values.
    pub fn items(self) -> Items<K, V> {
        Items { events: self.events() }
    }

    /// Returns a stream of values with a number. The numbers count from 0 since the handler was
    /// begun.
    pub fn enumerate(self) -> Enumerate<K, V> {
        Enumerate { events: self, next: 0 }
    }

    /// Returns a stream of the values for which `keep` is true. Other events are acknowledged
    /// without being handed out.
    pub fn filter<F: FnMut(&V) -> bool>(self, keep: F) -> Filtered<K, V, F> {
        Filtered { events: self, keep }
    }
}

/// A stream of keys with their values. Made by [`Events::items`].
pub struct Items<K, V> {
    events: WholeEvents<K, V>,
}

impl<K: TopicKey, V: 'static> Items<K, V> {
    /// Returns the next key and value, and acknowledges the event before.
    pub async fn next(&mut self) -> Option<(K, V)> {
        self.events.next().await.map(|event| (event.key, event.value))
    }
}

/// A stream of numbered values. Made by [`Events::enumerate`].
pub struct Enumerate<K, V> {
    events: Events<K, V>,
    next: u64,
}

impl<K: TopicKey, V: 'static> Enumerate<K, V> {
    /// Returns the next value and its number, and acknowledges the event before.
    pub async fn next(&mut self) -> Option<(u64, V)> {
        let value = self.events.next().await?;
        self.next += 1;
        Some((self.next - 1, value))
    }
}

/// A stream of the values that pass a filter. Made by [`Events::filter`].
pub struct Filtered<K, V, F> {
    events: Events<K, V>,
    keep: F,
}

impl<K: TopicKey, V: 'static, F: FnMut(&V) -> bool> Filtered<K, V, F> {
    /// Returns the next value that passes the filter, and acknowledges the events before it.
    pub async fn next(&mut self) -> Option<V> {
        loop {
            let value = self.events.next().await?;
            if (self.keep)(&value) {
                return Some(value);
            }
        }
    }
}
