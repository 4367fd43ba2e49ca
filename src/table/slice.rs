use std::cell::Cell;
use std::fmt;
use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Header, NewRecord, Offset};
use marlowe_state::{CacheStats, Hand, KeyRange, SliceError, SliceState, TableIndex};

use super::key_range::ordered_range;
use super::{AsKey, TableKind};
use crate::HandlerError;
use crate::codec::Key;
use crate::turn::{Flush, OutTopic, Participant, Stamp, Turn};

/// A table's slice, as an agent or partition timer gets it: read and written at once, in the event's transaction.
///
/// It looks like a map. What a handler writes, it reads back; others see it once the handler returned `Ok`, and the
/// outside once it is committed. A key whose home is another partition makes the event fail with
/// [`ForeignKey`](crate::ForeignKey), whatever the handler returns.
///
/// No guard outlives a call, so a slice can be used across `.await`s and inside [`update`](Self::update)'s closure.
///
/// # Panics
/// Every method panics when it is called outside the event the slice was opened for, as in a spawned task.
pub struct TableSlice<K, V> {
    open: Rc<OpenTable<K, V>>,
}

impl<K, V> Clone for TableSlice<K, V> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone() }
    }
}

impl<K, V> fmt::Debug for TableSlice<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableSlice({}[{}])", self.open.name, self.open.turn.partition())
    }
}

/// One slice, open in its shard, shared by all that use it there.
pub(crate) struct OpenTable<K, V> {
    pub(crate) slice: marlowe_state::Slice<K, V>,
    pub(crate) turn: Rc<Turn>,
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) index: TableIndex,
    /// How far the inbox is by what the changelog says (of a global table).
    pub(crate) told: Cell<Offset>,
    pub(crate) changelog: OutTopic,
}

impl<K: Key, V: Clone + 'static> TableSlice<K, V> {
    pub(crate) fn new(open: Rc<OpenTable<K, V>>) -> Self {
        Self { open }
    }

    /// The row of `key`, if there is one.
    #[inline]
    pub fn get(&self, key: impl AsKey<K>) -> Option<V> {
        self.open.attempt(|slice, hand| key.lend(|key| slice.get(hand, key))).flatten()
    }

    /// Whether `key` has a row.
    pub fn contains_key(&self, key: impl AsKey<K>) -> bool {
        self.open.attempt(|slice, hand| key.lend(|key| slice.contains_key(hand, key))).unwrap_or(false)
    }

    /// Makes `value` the row of `key`, and returns what it was before.
    #[inline]
    pub fn insert(&self, key: impl AsKey<K>, value: V) -> Option<V> {
        self.open.attempt(|slice, hand| slice.insert(hand, key.into_key(), value)).flatten()
    }

    /// Removes the row of `key`, and returns what it was.
    pub fn remove(&self, key: impl AsKey<K>) -> Option<V> {
        self.open.attempt(|slice, hand| key.lend(|key| slice.remove(hand, key))).flatten()
    }

    /// Changes the row of `key` in place; an absent one starts from `V::default()`, as a Faust table with a default
    /// does.
    #[inline]
    pub fn update(&self, key: impl AsKey<K>, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        self.open.attempt(|slice, hand| slice.update(hand, key.into_key(), change));
    }

    /// Changes the row of `key`, absent or not: `None` before the change is "no row", `None` after it removes the row.
    pub fn update_with(&self, key: impl AsKey<K>, change: impl FnOnce(&mut Option<V>)) {
        self.open.attempt(|slice, hand| slice.update_with(hand, key.into_key(), change));
    }

    /// How many rows the slice has. (The table has more: this is one partition's part.)
    pub fn len(&self) -> u64 {
        self.open.attempt(|slice, hand| slice.len(hand)).unwrap_or(0)
    }

    /// Whether the slice has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slice's rows in key order, as they are now: what the handler writes while it iterates does not show.
    pub fn iter(&self) -> SliceIter<K, V> {
        self.scan(KeyRange::all())
    }

    /// The rows whose keys lie in `keys`, in key order: text in byte order, integers in numeric order.
    pub fn range(&self, keys: impl RangeBounds<K>) -> SliceIter<K, V> {
        self.scan(ordered_range(&keys))
    }

    fn scan(&self, range: KeyRange) -> SliceIter<K, V> {
        SliceIter { open: self.open.clone(), scan: self.open.attempt(|slice, hand| slice.scan(hand, range)) }
    }
}

impl<V: Clone + 'static> TableSlice<String, V> {
    /// The rows whose keys start with `prefix`, in key order.
    pub fn prefix(&self, prefix: &str) -> SliceIter<String, V> {
        self.scan(KeyRange::prefix(prefix.as_bytes()))
    }
}

/// Rows of a slice, in key order. Made by [`TableSlice::iter`] and [`TableSlice::range`].
pub struct SliceIter<K, V> {
    open: Rc<OpenTable<K, V>>,
    scan: Option<marlowe_state::SliceScan<K, V>>,
}

impl<K: Key, V: Clone + 'static> Iterator for SliceIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        let next = self.scan.as_mut()?.next()?;
        self.open.attempt(|_, _| next)
    }
}

impl<K: Key, V: Clone + 'static> OpenTable<K, V> {
    /// Does something for the event in hand. An error does not surface here, where a map has none: it makes the event
    /// fail.
    #[inline]
    fn attempt<R>(&self, act: impl FnOnce(&marlowe_state::Slice<K, V>, Hand) -> Result<R, SliceError>) -> Option<R> {
        let hand = self.turn.hand(|| format!("table `{}`", self.name));
        match act(&self.slice, hand) {
            Ok(result) => Some(result),
            Err(SliceError::Refused(foreign)) => {
                self.turn.fail(hand, foreign);
                None
            }
            Err(error) => {
                self.turn.fail(hand, format!("table `{}`: {error}", self.name).into());
                None
            }
        }
    }
}

impl<K: Key, V: Clone + 'static> Participant for OpenTable<K, V> {
    fn expect(&self, key: &[u8]) {
        self.slice.expect(|state| K::hash_topic_form(key, state));
    }

    fn is_current(&self, hand: Hand) -> bool {
        self.slice.is_current(hand)
    }

    fn apply(&self, hand: Hand) {
        self.slice.apply(hand);
    }

    fn discard(&self, hand: Hand) {
        self.slice.discard(hand);
    }

    fn uncommitted_bytes(&self) -> usize {
        self.slice.uncommitted_bytes()
    }

    fn flush(&self, into: &mut Flush<'_>) -> Result<(), HandlerError> {
        let mut failure = None;
        let place = match into.rows.iter().position(|(table, _)| *table == self.index) {
            Some(place) => place,
            None => {
                into.rows.push((self.index, into.spare.pop().unwrap_or_default()));
                into.rows.len() - 1
            }
        };
        let Flush { producer, topics, now, rows, positions, includes, logged, .. } = into;
        let rows = &mut rows[place].1;
        let destination = topics.destination(&mut **producer, self.changelog, self.turn.partition())?;
        let position = positions.iter().find(|(table, _)| *table == self.index).map(|(_, position)| *position);
        let position = position.unwrap_or_default();
        let inbox = (self.kind == TableKind::Global).then_some(position.inbox);
        let inbox_text = inbox.map(|offset| offset.to_string());
        let stamp = includes.map(|includes| Stamp::written(position.epoch, includes));
        let headers: Vec<Header<'_>> =
            [(super::INBOX_HEADER, inbox_text.as_ref().map(String::as_bytes)), (Stamp::HEADER, stamp.as_deref())]
                .into_iter()
                .filter_map(|(name, value)| Some(Header { name, value: value? }))
                .collect();
        let mut told = 0;
        self.slice.flush(&mut |row| {
            told += 1;
            rows.push(row.store_key, row.value);
            let record = NewRecord { timestamp: *now, key: Some(row.topic_key), value: row.value, headers: &headers };
            if let Err(error) = producer.send(destination, record) {
                failure.get_or_insert(error);
            }
        })?;
        // Changes that left every row as it was are waited for too.
        if let Some(inbox) = inbox
            && self.told.replace(inbox) < inbox
            && told == 0
        {
            let key = Some(super::INBOX_KEY);
            producer.send(destination, NewRecord { timestamp: *now, key, value: None, headers: &headers })?;
            told = 1;
        }
        logged.push((self.index, told));
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn cache(&self) -> Option<(&Arc<str>, CacheStats)> {
        Some((&self.name, self.slice.stats()))
    }

    fn flushed(&self) {
        self.slice.flushed();
    }
}
