use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use marlowe_broker::{Header, NewRecord, Partitioner, Timestamp};
use marlowe_state::Hand;

use super::declaration::Merge;
use super::{AsKey, REPLACE_HEADER};
use crate::HandlerError;
use crate::codec::{Codec, Key};
use crate::turn::{Flush, OutTopic, Participant, Turn};

/// Sends changes to rows of any key, from inside an event: each is applied once, by the key's owner, if and when the
/// event's transaction commits.
///
/// With a [`merge`](crate::Table::merge), the changes that one shard sends to one key between two commits travel as one
/// record. Without, the last one does.
pub struct InboxSender<K, V> {
    open: Rc<OpenInbox<K, V>>,
}

impl<K, V> Clone for InboxSender<K, V> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone() }
    }
}

impl<K: Key, V: 'static> InboxSender<K, V> {
    pub(crate) fn new(open: Rc<OpenInbox<K, V>>) -> Self {
        Self { open }
    }

    /// Sends a change: with a merge it is merged into the row, otherwise it becomes the row.
    pub fn send(&self, key: impl AsKey<K>, change: V) {
        self.open.push(key.into_key(), Change { reset: false, value: Some(change) });
    }

    /// Makes `value` the row, whatever it was, also where there is a merge.
    pub fn replace(&self, key: impl AsKey<K>, value: V) {
        self.open.push(key.into_key(), Change { reset: true, value: Some(value) });
    }

    /// Removes the row.
    pub fn remove(&self, key: impl AsKey<K>) {
        self.open.push(key.into_key(), Change { reset: true, value: None });
    }
}

/// What is to happen to a row: first, perhaps, it goes; then, perhaps, a value comes.
#[derive(Debug)]
struct Change<V> {
    reset: bool,
    value: Option<V>,
}

impl<V> Change<V> {
    /// Adds a later change to this one.
    fn then(&mut self, later: Change<V>, merge: Option<&Merge<V>>) {
        match (later.reset, merge, &mut self.value, later.value) {
            (false, Some(merge), Some(value), Some(more)) => merge(value, more),
            (reset, _, _, value) => {
                self.reset |= reset;
                self.value = value;
            }
        }
    }
}

/// A table's inbox, open in a shard that sends to it.
pub(crate) struct OpenInbox<K, V> {
    pub(crate) turn: Rc<Turn>,
    pub(crate) name: Arc<str>,
    pub(crate) topic: OutTopic,
    pub(crate) partitions: u32,
    pub(crate) partitioner: Partitioner,
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) merge: Option<Merge<V>>,
    state: RefCell<Waiting<K, V>>,
}

struct Waiting<K, V> {
    /// Of events in hand.
    in_hand: Vec<(Hand, K, Change<V>)>,
    /// Of finished events, one per key.
    finished: HashMap<K, (Change<V>, Timestamp), foldhash::fast::FixedState>,
}

impl<K: Key, V: 'static> OpenInbox<K, V> {
    pub(crate) fn new(
        turn: Rc<Turn>,
        name: Arc<str>,
        topic: OutTopic,
        partitions: u32,
        settings: super::declaration::TableSettings<V>,
    ) -> Self {
        Self {
            turn,
            name,
            topic,
            partitions,
            partitioner: settings.partitioner,
            codec: settings.codec,
            merge: settings.merge,
            state: RefCell::new(Waiting { in_hand: Vec::new(), finished: HashMap::default() }),
        }
    }

    fn push(&self, key: K, change: Change<V>) {
        let hand = self.turn.hand(|| format!("the inbox of table `{}`", self.name));
        self.state.borrow_mut().in_hand.push((hand, key, change));
    }
}

impl<K: Key, V: 'static> Participant for OpenInbox<K, V> {
    fn is_current(&self, _: Hand) -> bool {
        true
    }

    fn apply(&self, hand: Hand) {
        let mut state = self.state.borrow_mut();
        let Waiting { in_hand, finished } = &mut *state;
        if in_hand.is_empty() {
            return;
        }
        let timestamp = self.turn.timestamp(hand);
        let merge = self.merge.as_ref();
        for (_, key, change) in in_hand.extract_if(.., |(of, _, _)| *of == hand) {
            match finished.entry(key) {
                Entry::Occupied(mut row) => {
                    let (earlier, at) = row.get_mut();
                    earlier.then(change, merge);
                    *at = timestamp.max(*at);
                }
                Entry::Vacant(place) => {
                    place.insert((change, timestamp));
                }
            }
        }
    }

    fn discard(&self, hand: Hand) {
        self.state.borrow_mut().in_hand.retain(|(of, _, _)| *of != hand);
    }

    fn uncommitted_bytes(&self) -> usize {
        self.state.borrow().finished.len() * (size_of::<K>() + size_of::<V>() + 64)
    }

    fn flush(&self, into: &mut Flush<'_>) -> Result<(), HandlerError> {
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        for (key, (change, timestamp)) in self.state.borrow_mut().finished.drain() {
            key_bytes.clear();
            key.encode(&mut key_bytes);
            let partition = self.partitioner.partition(&key_bytes, self.partitions);
            value_bytes.clear();
            if let Some(value) = &change.value {
                self.codec.encode(value, &mut value_bytes)?;
            }
            let replace = [Header { name: REPLACE_HEADER, value: b"" }];
            let record = NewRecord {
                timestamp,
                key: Some(&key_bytes),
                value: change.value.is_some().then_some(&value_bytes),
                headers: if change.reset { &replace } else { &[] },
            };
            into.send(self.topic, partition, record)?;
        }
        Ok(())
    }

    fn flushed(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However changes are combined on the way, the row ends as if each had arrived alone.
    #[test]
    fn combined_changes_do_what_they_would_do_one_by_one() {
        let sum: Merge<i64> = Arc::new(|total, more| *total += more);
        let all = [(false, Some(1)), (false, Some(5)), (true, Some(7)), (true, None)];
        for merge in [Some(&sum), None] {
            for first in all {
                for second in all {
                    for third in all {
                        let steps = [first, second, third];
                        let run = |mut row: Option<i64>, steps: &[(bool, Option<i64>)]| {
                            for (reset, value) in steps {
                                if *reset {
                                    row = None;
                                }
                                row = match (row, value, merge) {
                                    (Some(mut row), Some(value), Some(merge)) => {
                                        merge(&mut row, *value);
                                        Some(row)
                                    }
                                    (_, Some(value), _) => Some(*value),
                                    (row, None, _) => row,
                                };
                            }
                            row
                        };
                        let change = |(reset, value)| Change { reset, value };
                        let mut combined = change(first);
                        combined.then(change(second), merge);
                        combined.then(change(third), merge);
                        let combined = [(combined.reset, combined.value)];
                        assert_eq!(run(Some(100), &combined), run(Some(100), &steps), "{steps:?}");
                    }
                }
            }
        }
    }
}
