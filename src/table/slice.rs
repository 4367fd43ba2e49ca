use std::cell::Cell;
use std::fmt;
use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Header, NewRecord, Offset, RecordLimit, Timestamp};
use marlowe_state::{CacheStats, FormatError, Hand, KeyRange, SliceError, SliceState, TableIndex};

use super::as_key::AsKey;
use super::changelog_key::{ChangelogKey, Mark};
use super::key_range::ordered_range;
use super::shown;
use super::undecodable::UndecodableRow;
use crate::HandlerError;
use crate::codec::Key;
use crate::topology::TableKind;
use crate::turn::{Flush, OutTopic, Participant, Turn};

/// A table's slice, as an agent or partition timer gets it: read and written at once, in the event's transaction.
///
/// It looks like a map. What a handler writes, it reads back; others see it once the handler returned `Ok`, and the
/// outside once it is committed. A key whose home is another partition makes the event fail with
/// [`ForeignKey`](crate::ForeignKey), whatever the handler returns.
///
/// A row that does not decode, because the table's type changed or its bytes are damaged, is a row: it counts, and `insert`
/// and `remove` need not read it. To `get` or `update` it makes the event fail with
/// [`UndecodableRow`](crate::UndecodableRow). Scans [pass over it](Self::iter).
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
    /// What a record may take.
    pub(crate) limit: RecordLimit,
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

    /// Whether `key` has a row, be it one that decodes or not.
    pub fn contains_key(&self, key: impl AsKey<K>) -> bool {
        self.open.attempt(|slice, hand| key.lend(|key| slice.contains_key(hand, key))).unwrap_or(false)
    }

    /// Makes `value` the row of `key`, and returns what it was before: `None` also where it does not decode.
    #[inline]
    pub fn insert(&self, key: impl AsKey<K>, value: V) -> Option<V> {
        self.open.attempt(|slice, hand| slice.insert(hand, key.into_key(), value)).flatten()
    }

    /// Removes the row of `key`, and returns what it was: `None` also where it does not decode.
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
    ///
    /// Rows that do not decode are passed over, with a warning, and counted in `marlowe_rows_undecodable_total`. A handler
    /// that must not miss any looks for them first:
    ///
    /// ```
    /// # use marlowe::{HandlerError, TableSlice};
    /// fn total(stock: &TableSlice<String, u64>) -> Result<u64, HandlerError> {
    ///     if let Some(row) = stock.undecodable().next() {
    ///         return Err(row.into());
    ///     }
    ///     Ok(stock.iter().map(|(_, count)| count).sum())
    /// }
    /// ```
    pub fn iter(&self) -> SliceIter<K, V> {
        self.scan(KeyRange::all())
    }

    /// The rows whose keys lie in `keys`, in key order: text in byte order, integers in numeric order.
    pub fn range(&self, keys: impl RangeBounds<K>) -> SliceIter<K, V> {
        self.scan(ordered_range(&keys))
    }

    /// The slice's rows that do not decode, in the order of their keys' bytes. All rows are read for it.
    pub fn undecodable(&self) -> UndecodableRows<K, V> {
        UndecodableRows(self.iter())
    }

    fn scan(&self, range: KeyRange) -> SliceIter<K, V> {
        let scan = self.open.attempt(|slice, hand| slice.scan(hand, range));
        SliceIter { open: self.open.clone(), scan, has_warned: false }
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
    /// Whether a row was passed over: one warning tells of all.
    has_warned: bool,
}

impl<K: Key, V: Clone + 'static> SliceIter<K, V> {
    /// The next row, or what is known of one that does not decode.
    fn next_row(&mut self) -> Option<Result<(K, V), UndecodableRow>> {
        match self.scan.as_mut()?.next()? {
            Err(SliceError::Undecodable { store_key, source, .. }) => {
                self.open.hand();
                Some(Err(self.open.undecodable(&store_key, &source)))
            }
            row => self.open.attempt(|_, _| row).map(Ok),
        }
    }
}

impl<K: Key, V: Clone + 'static> Iterator for SliceIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            match self.next_row()? {
                Ok(row) => return Some(row),
                Err(row) => {
                    if !std::mem::replace(&mut self.has_warned, true) {
                        tracing::warn!(
                            "a handler's scan passes over rows that do not decode, the first of them: {row}"
                        );
                    }
                }
            }
        }
    }
}

/// Rows of a slice that do not decode. Made by [`TableSlice::undecodable`].
pub struct UndecodableRows<K, V>(SliceIter<K, V>);

impl<K: Key, V: Clone + 'static> Iterator for UndecodableRows<K, V> {
    type Item = UndecodableRow;

    fn next(&mut self) -> Option<UndecodableRow> {
        loop {
            if let Err(row) = self.0.next_row()? {
                return Some(row);
            }
        }
    }
}

impl<K: Key, V: Clone + 'static> OpenTable<K, V> {
    /// Does something for the event in hand. An error does not surface here, where a map has none: it makes the event
    /// fail.
    #[inline]
    fn attempt<R>(&self, act: impl FnOnce(&marlowe_state::Slice<K, V>, Hand) -> Result<R, SliceError>) -> Option<R> {
        let hand = self.hand();
        match act(&self.slice, hand) {
            Ok(result) => Some(result),
            Err(SliceError::Refused(foreign)) => {
                self.turn.fail(hand, foreign);
                None
            }
            Err(SliceError::Undecodable { store_key, source, .. }) => {
                self.turn.fail(hand, self.undecodable(&store_key, &source).into());
                None
            }
            Err(error) => {
                self.turn.fail(hand, error.into());
                None
            }
        }
    }

    #[inline]
    fn hand(&self) -> Hand {
        self.turn.hand(|| format!("table `{}`", self.name))
    }

    #[cold]
    fn undecodable(&self, store_key: &[u8], reason: &FormatError) -> UndecodableRow {
        UndecodableRow::new::<K>(self.name.clone(), Some(self.turn.partition()), store_key, reason)
    }
}

impl<K: Key, V: Clone + 'static> Participant for OpenTable<K, V> {
    fn expect(&self, key: &[u8]) {
        self.slice.expect(|state| K::hash_topic_form(key, state));
    }

    fn is_current(&self, hand: Hand) -> bool {
        self.slice.is_current(hand)
    }

    fn check(&self, hand: Hand) -> Result<(), HandlerError> {
        self.slice.check(hand, |key, row| {
            let reason = match row {
                Ok(row) => {
                    let record = NewRecord {
                        timestamp: Timestamp::default(),
                        key: Some(row.topic_key),
                        value: row.value,
                        headers: &[],
                    };
                    let size = record.size();
                    let RecordLimit { bytes: limit, setting } = self.limit;
                    if size <= limit {
                        return Ok(());
                    }
                    format!(
                        "takes {size} bytes in the changelog, over the limit of {limit} for a record: raise {setting}, or keep \
                         less in a row"
                    )
                }
                Err(error) => format!("cannot be encoded: {error}"),
            };
            Err(format!("table `{}` [{}]: the row {} {reason}", self.name, self.turn.partition(), shown(key)).into())
        })
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
        let Flush { logs, now, rows, positions, .. } = into;
        let rows = &mut rows[place].1;
        let destination = logs.destination(self.changelog, self.turn.partition())?;
        let producer = &mut *logs.producer;
        let position = positions.iter().find(|(table, _)| *table == self.index).map(|(_, position)| *position);
        let position = position.unwrap_or_default();
        let inbox = (self.kind == TableKind::Global).then_some(position.inbox);
        let inbox_text = inbox.map(|offset| offset.to_string());
        let header = inbox_text.as_ref().map(|text| Header::new(super::INBOX_HEADER, text.as_bytes()));
        let headers = header.as_slice();
        let (mut is_told, mut room) = (false, Vec::new());
        self.slice.flush(&mut |row| {
            is_told = true;
            rows.push(row.store_key, row.value);
            let key = ChangelogKey::of_row(row.topic_key, &mut room);
            let record = NewRecord { timestamp: *now, key: Some(key), value: row.value, headers };
            if let Err(error) = producer.send(destination, record) {
                failure.get_or_insert(error);
            }
        })?;
        // Changes that left every row as it was are waited for too.
        if let Some(inbox) = inbox
            && self.told.replace(inbox) < inbox
            && !is_told
        {
            let key = Some(Mark::Inbox.key());
            producer.send(destination, NewRecord { timestamp: *now, key, value: None, headers })?;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn cache(&self) -> Option<(&Arc<str>, CacheStats)> {
        Some((&self.name, self.slice.stats()))
    }

    fn flushed(&self) {
        self.slice.flushed();
    }
}
