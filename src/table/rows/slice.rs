//! A table's slice inside its shard: the map-like handle of handlers, and its part in the commit.

use std::cell::Cell;
use std::fmt;
use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Header, NewRecord, Offset, RecordLimit, Timestamp};
use marlowe_state::{CacheStats, FormatError, KeyRange, SliceError, SliceState, TableIndex, TxnSlot};

use super::changelog_key::{ChangelogKey, Mark};
use super::key_range::ordered_range;
use super::undecodable::UndecodableRow;
use crate::HandlerError;
use crate::codec::Key;
use crate::table::as_key::AsKey;
use crate::table::shown;
use crate::topology::TableKind;
use crate::turn::{Flush, OutTopic, Participant, Turn};

/// A table's slice in an agent or partition timer. It is read and written in the event's
/// transaction.
///
/// It works like a map. A handler reads its own writes. Other handlers of the shard see them after
/// the handler has returned `Ok`. Readers outside see them after the commit. A key whose home is
/// another partition makes the event fail with [`ForeignKey`](crate::table::ForeignKey), whatever
/// the handler returns.
///
/// A row may not decode, because the table's type changed or its bytes are damaged. It still is a
/// row: it counts, and `insert` and `remove` work on it. `get` and `update` make the event fail
/// with [`UndecodableRow`](crate::table::UndecodableRow). Scans [skip it](Self::iter).
///
/// No borrow outlives a call, so a slice can be used across `.await`s and inside the closure of
/// [`update`](Self::update).
///
/// # Panics
/// Every method panics if it is called outside the event that the slice was opened for, for example
/// in a spawned task.
#[doc(alias = "KeyValueStore")]
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

/// A slice that is open in its shard. All its users in the shard share it.
pub(crate) struct OpenTable<K, V> {
    pub(crate) slice: marlowe_state::Slice<K, V>,
    pub(crate) turn: Rc<Turn>,
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) index: TableIndex,
    /// For a global table: the inbox position that the changelog has told last.
    pub(crate) told: Cell<Offset>,
    pub(crate) changelog: OutTopic,
    /// The size limit of a record.
    pub(crate) limit: RecordLimit,
}

impl<K: Key, V: Clone + 'static> TableSlice<K, V> {
    pub(crate) fn new(open: Rc<OpenTable<K, V>>) -> Self {
        Self { open }
    }

    /// Returns the row of `key`, if there is one.
    #[inline]
    pub fn get(&self, key: impl AsKey<K>) -> Option<V> {
        self.open.attempt(|slice, txn| key.lend(|key| slice.get(txn, key))).flatten()
    }

    /// Returns `true` if `key` has a row, even one that does not decode.
    pub fn contains_key(&self, key: impl AsKey<K>) -> bool {
        self.open.attempt(|slice, txn| key.lend(|key| slice.contains_key(txn, key))).unwrap_or(false)
    }

    /// Makes `value` the row of `key`, and returns the previous row. The result is `None` if there
    /// was no row, or if it does not decode.
    #[inline]
    pub fn insert(&self, key: impl AsKey<K>, value: V) -> Option<V> {
        self.open.attempt(|slice, txn| slice.insert(txn, key.into_key(), value)).flatten()
    }

    /// Removes the row of `key`, and returns it. The result is `None` if there was no row, or if it
    /// does not decode.
    pub fn remove(&self, key: impl AsKey<K>) -> Option<V> {
        self.open.attempt(|slice, txn| key.lend(|key| slice.remove(txn, key))).flatten()
    }

    /// Changes the row of `key` in place. An absent row starts as `V::default()`, as in a Faust
    /// table with a default.
    #[inline]
    pub fn update(&self, key: impl AsKey<K>, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        self.open.attempt(|slice, txn| slice.update(txn, key.into_key(), change));
    }

    /// Changes the row of `key`, whether or not it exists. The closure gets `None` if there is no
    /// row, and leaves `None` to remove the row.
    pub fn update_with(&self, key: impl AsKey<K>, change: impl FnOnce(&mut Option<V>)) {
        self.open.attempt(|slice, txn| slice.update_with(txn, key.into_key(), change));
    }

    /// Returns the number of rows in the slice. This is the part of one partition, not the whole
    /// table.
    pub fn len(&self) -> u64 {
        self.open.attempt(|slice, txn| slice.len(txn)).unwrap_or(0)
    }

    /// Returns `true` if the slice has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the slice's rows in key order, as they are now. Writes during the iteration do not
    /// show in it.
    ///
    /// Rows that do not decode are skipped with a warning, and counted in
    /// `marlowe_rows_undecodable_total`. A handler that must not miss any row checks for them
    /// first:
    ///
    /// ```
    /// # use marlowe::HandlerError;
    /// # use marlowe::table::TableSlice;
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

    /// Returns the rows whose keys lie in `keys`, in key order: text in byte order, integers in
    /// numeric order.
    pub fn range(&self, keys: impl RangeBounds<K>) -> SliceIter<K, V> {
        self.scan(ordered_range(&keys))
    }

    /// Returns the slice's rows that do not decode, in the byte order of their stored keys. This
    /// reads all rows.
    pub fn undecodable(&self) -> UndecodableRows<K, V> {
        UndecodableRows(self.iter())
    }

    fn scan(&self, range: KeyRange) -> SliceIter<K, V> {
        let scan = self.open.attempt(|slice, txn| slice.scan(txn, range));
        SliceIter { open: self.open.clone(), scan, has_warned: false }
    }
}

impl<V: Clone + 'static> TableSlice<String, V> {
    /// Returns the rows whose keys start with `prefix`, in key order.
    pub fn prefix(&self, prefix: &str) -> SliceIter<String, V> {
        self.scan(KeyRange::prefix(prefix.as_bytes()))
    }
}

/// An iterator over rows of a slice in key order. [`TableSlice::iter`],
/// [`range`](TableSlice::range) and [`prefix`](TableSlice::prefix) make it.
pub struct SliceIter<K, V> {
    open: Rc<OpenTable<K, V>>,
    scan: Option<marlowe_state::SliceScan<K, V>>,
    /// True after a row was skipped. One warning covers all skipped rows.
    has_warned: bool,
}

impl<K: Key, V: Clone + 'static> SliceIter<K, V> {
    /// Returns the next row, or the error of one that does not decode.
    fn next_row(&mut self) -> Option<Result<(K, V), UndecodableRow>> {
        match self.scan.as_mut()?.next()? {
            Err(SliceError::Undecodable { store_key, source, .. }) => {
                self.open.txn();
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

/// An iterator over the rows of a slice that do not decode. [`TableSlice::undecodable`] makes it.
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
    /// Calls `act` for the event in flight. An error makes the event fail and is not returned,
    /// because a map's methods return no errors.
    #[inline]
    fn attempt<R>(&self, act: impl FnOnce(&marlowe_state::Slice<K, V>, TxnSlot) -> Result<R, SliceError>) -> Option<R> {
        let txn = self.txn();
        match act(&self.slice, txn) {
            Ok(result) => Some(result),
            Err(SliceError::Refused(foreign)) => {
                self.turn.fail(txn, foreign);
                None
            }
            Err(SliceError::Undecodable { store_key, source, .. }) => {
                self.turn.fail(txn, self.undecodable(&store_key, &source).into());
                None
            }
            Err(error) => {
                self.turn.fail(txn, error.into());
                None
            }
        }
    }

    #[inline]
    fn txn(&self) -> TxnSlot {
        self.turn.txn(|| format!("table `{}`", self.name))
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

    fn is_current(&self, txn: TxnSlot) -> bool {
        self.slice.is_current(txn)
    }

    fn check(&self, txn: TxnSlot) -> Result<(), HandlerError> {
        self.slice.check(txn, |key, row| {
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

    fn apply(&self, txn: TxnSlot) {
        self.slice.apply(txn);
    }

    fn discard(&self, txn: TxnSlot) {
        self.slice.discard(txn);
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
        let Flush { outlet, now, rows, positions, .. } = into;
        let rows = &mut rows[place].1;
        let destination = outlet.destination(self.changelog, self.turn.partition())?;
        let producer = &mut *outlet.producer;
        let position = positions.iter().find(|(table, _)| *table == self.index).map(|(_, position)| *position);
        let position = position.unwrap_or_default();
        let inbox = (self.kind == TableKind::Global).then_some(position.inbox);
        let inbox_text = inbox.map(|offset| offset.to_string());
        let header = inbox_text.as_ref().map(|text| Header::new(crate::table::INBOX_HEADER, text.as_bytes()));
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
        // Waiting for a change must also end if no row changed. So the position is told in a mark.
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
