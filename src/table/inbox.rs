//! The sending side of a table's inbox inside a shard: changes are combined per key and go out with
//! the commit.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use marlowe_broker::{Header, NewRecord, Partition, Partitioner, RecordLimit, Timestamp};
use marlowe_state::{MAX_KEY_BYTES, TxnSlot};

use super::as_key::AsKey;
use super::declaration::Merge;
use super::{REPLACE_HEADER, shown};
use crate::HandlerError;
use crate::codec::{Codec, Key, KeyTooLong};
use crate::panics::panic_message;
use crate::turn::{Flush, OutTopic, Participant, Turn};

/// Sends changes to rows of any key from inside an event. The key's owner applies each change once,
/// if and when the event's transaction commits.
///
/// With a [`merge`](crate::Table::merge), the changes that one shard sends to one key between two
/// commits travel as one record. Without a merge, only the last of them is sent. A key longer than
/// [`MAX_KEY_BYTES`](crate::codec::MAX_KEY_BYTES) makes the event fail.
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

    /// Sends a change. If the table has a merge, the change is merged into the row. Otherwise it
    /// becomes the row.
    pub fn send(&self, key: impl AsKey<K>, change: V) {
        self.open.push(key.into_key(), Change { reset: false, value: Some(change) });
    }

    /// Makes `value` the row, whatever the row was, even if the table has a merge.
    pub fn replace(&self, key: impl AsKey<K>, value: V) {
        self.open.push(key.into_key(), Change { reset: true, value: Some(value) });
    }

    /// Removes the row.
    pub fn remove(&self, key: impl AsKey<K>) {
        self.open.push(key.into_key(), Change { reset: true, value: None });
    }
}

/// A change of a row: if `reset` is set, the row is removed first; then `value`, if there is one,
/// is merged in or becomes the row.
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
    /// The size limit of a record.
    limit: RecordLimit,
    state: RefCell<Waiting<K, V>>,
}

struct Waiting<K, V> {
    /// Changes of events in flight.
    in_hand: Vec<(TxnSlot, K, Change<V>)>,
    /// Changes of finished events, one for each key.
    finished: HashMap<K, (Change<V>, Timestamp), foldhash::fast::FixedState>,
    /// The reason why changes could not be combined. A commit that holds them fails.
    broken: Option<String>,
    /// A buffer for a key's bytes.
    room: Vec<u8>,
}

impl<K: Key, V: 'static> OpenInbox<K, V> {
    pub(crate) fn new(
        turn: Rc<Turn>,
        name: Arc<str>,
        topic: OutTopic,
        partitions: u32,
        limit: RecordLimit,
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
            limit,
            state: RefCell::new(Waiting {
                in_hand: Vec::new(),
                finished: HashMap::default(),
                broken: None,
                room: Vec::new(),
            }),
        }
    }

    /// Builds the record of a change in the two buffers, and passes it with its partition to
    /// `send`.
    fn encode<R>(
        &self,
        key: &K,
        change: &Change<V>,
        timestamp: Timestamp,
        (key_bytes, value_bytes): (&mut Vec<u8>, &mut Vec<u8>),
        send: impl FnOnce(Partition, NewRecord<'_>) -> Result<R, HandlerError>,
    ) -> Result<R, HandlerError> {
        key_bytes.clear();
        key.encode(key_bytes);
        let partition = self.partitioner.partition(key_bytes, self.partitions);
        value_bytes.clear();
        if let Some(value) = &change.value {
            self.codec.encode(value, value_bytes).map_err(|error| self.unwritable(key, error))?;
        }
        let replace = [Header::new(REPLACE_HEADER, b"")];
        let record = NewRecord {
            timestamp,
            key: Some(key_bytes),
            value: change.value.is_some().then_some(value_bytes),
            headers: if change.reset { &replace } else { &[] },
        };
        send(partition, record)
    }

    fn unwritable(&self, key: &K, error: impl std::fmt::Display) -> HandlerError {
        format!("inbox of table `{}`: the change to row {}: {error}", self.name, shown(key)).into()
    }

    fn push(&self, key: K, change: Change<V>) {
        let txn = self.turn.txn(|| format!("the inbox of table `{}`", self.name));
        let Waiting { in_hand, room, .. } = &mut *self.state.borrow_mut();
        match KeyTooLong::check(&self.name, &key, MAX_KEY_BYTES, room) {
            Ok(()) => in_hand.push((txn, key, change)),
            Err(error) => self.turn.fail(txn, error.into()),
        }
    }
}

impl<K: Key, V: 'static> Participant for OpenInbox<K, V> {
    fn is_current(&self, _: TxnSlot) -> bool {
        true
    }

    /// Sends each change of the event as its own record. Changes are not combined here, so a merge
    /// that fails does so in the owner's event.
    fn check(&self, txn: TxnSlot) -> Result<(), HandlerError> {
        let timestamp = self.turn.timestamp(txn);
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        let changes: Vec<_> = self.state.borrow_mut().in_hand.extract_if(.., |(of, _, _)| *of == txn).collect();
        for (_, key, change) in changes {
            self.encode(&key, &change, timestamp, (&mut key_bytes, &mut value_bytes), |partition, record| {
                let inbox: Arc<str> = self.name.clone();
                self.limit.check(&inbox, &record).map_err(|error| self.unwritable(&key, error))?;
                self.turn.send(txn, self.topic, partition, record);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn apply(&self, txn: TxnSlot) {
        let mut state = self.state.borrow_mut();
        let Waiting { in_hand, finished, broken, .. } = &mut *state;
        if in_hand.is_empty() {
            return;
        }
        let timestamp = self.turn.timestamp(txn);
        let merge = self.merge.as_ref();
        for (_, key, change) in in_hand.extract_if(.., |(of, _, _)| *of == txn) {
            match finished.entry(key) {
                Entry::Occupied(mut row) => {
                    let (earlier, at) = row.get_mut();
                    // The event has already succeeded. If a merge panics, the commit fails and is
                    // made again without combining changes.
                    let combined = catch_unwind(AssertUnwindSafe(|| earlier.then(change, merge)));
                    if let Err(panic) = combined {
                        let reason = format!("the merge panicked: {}", panic_message(&*panic));
                        broken.get_or_insert(format!("inbox of table `{}`: {reason}", self.name));
                    }
                    *at = timestamp.max(*at);
                }
                Entry::Vacant(place) => {
                    place.insert((change, timestamp));
                }
            }
        }
    }

    fn discard(&self, txn: TxnSlot) {
        self.state.borrow_mut().in_hand.retain(|(of, _, _)| *of != txn);
    }

    fn uncommitted_bytes(&self) -> usize {
        self.state.borrow().finished.len() * (size_of::<K>() + size_of::<V>() + 64)
    }

    fn flush(&self, into: &mut Flush<'_>) -> Result<(), HandlerError> {
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        let mut state = self.state.borrow_mut();
        if let Some(reason) = &state.broken {
            return Err(reason.as_str().into());
        }
        for (key, (change, timestamp)) in state.finished.drain() {
            self.encode(&key, &change, timestamp, (&mut key_bytes, &mut value_bytes), |partition, record| {
                Ok(into.outlet.send(self.topic, partition, record)?)
            })?;
        }
        Ok(())
    }

    fn flushed(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that combined changes leave the row as if each had arrived alone.
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
