//! Handles of an open global table: reads of the worker's copy, and changes that go to the owner.

use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};
use marlowe_state::{KeyRange, PositionSlot};

use super::as_key::AsKey;
use super::declaration::TableIdentity;
use super::inbox::{InboxSender, OpenInbox};
use super::inbox_client::InboxClient;
use super::read::Position;
use super::rows::{UndecodableRow, decode_row, ordered_range, pass_over};
use super::view_error::ViewError;
use crate::codec::{Codec, CodecError, Key};
use crate::outbound::{SendError, Sent};
use crate::query::GlobalStore;

/// Reads of the worker's own copy of a global table. Each read sees one snapshot of committed
/// state.
pub struct GlobalReader<K, V> {
    table: TableIdentity,
    copy: GlobalStore,
    partitioner: Partitioner,
    codec: Arc<dyn Codec<V>>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K, V> Clone for GlobalReader<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            copy: self.copy.clone(),
            partitioner: self.partitioner,
            codec: self.codec.clone(),
            key: self.key,
        }
    }
}

impl<K: Key, V: 'static> GlobalReader<K, V> {
    pub(crate) fn new(
        table: TableIdentity,
        copy: GlobalStore,
        partitioner: Partitioner,
        codec: Arc<dyn Codec<V>>,
    ) -> Self {
        Self { table, copy, partitioner, codec, key: std::marker::PhantomData }
    }

    /// Returns the row of `key`, if there is one.
    ///
    /// # Panics
    /// If the copy's store cannot be read or the row does not decode. [`try_get`](Self::try_get)
    /// returns these as errors.
    pub fn get(&self, key: impl AsKey<K>) -> Option<V> {
        self.try_get(key).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the row of `key`, if there is one.
    ///
    /// # Errors
    /// If the copy's store cannot be read or the row does not decode.
    pub fn try_get(&self, key: impl AsKey<K>) -> Result<Option<V>, ViewError> {
        let mut ordered = Vec::new();
        key.lend(|key| key.encode_ordered(&mut ordered));
        let mut bytes = Vec::new();
        let found =
            self.copy.store.get(GlobalStore::TABLE, &ordered, &mut bytes).map_err(|error| self.store_error(error))?;
        let value = found.then(|| self.codec.decode(&bytes)).transpose();
        value.map_err(|reason| self.undecodable_row(&ordered, reason).into())
    }

    /// Returns all rows in key order. Rows that do not decode are skipped with a warning;
    /// [`undecodable`](Self::undecodable) lists them.
    ///
    /// # Errors
    /// If the copy's store cannot be read.
    pub fn iter(&self) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(&KeyRange::all())
    }

    /// Returns the rows whose keys lie in `keys`, in key order.
    ///
    /// # Errors
    /// As [`iter`](Self::iter).
    pub fn range(&self, keys: impl RangeBounds<K>) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(&ordered_range(&keys))
    }

    /// Returns the rows that do not decode. This reads the whole table.
    ///
    /// # Errors
    /// If the copy's store cannot be read.
    pub fn undecodable(&self) -> Result<Vec<UndecodableRow>, ViewError> {
        Ok(self.rows(&KeyRange::all())?.into_iter().filter_map(Result::err).collect())
    }

    /// Returns the number of rows.
    ///
    /// # Errors
    /// If the copy's store cannot be read.
    pub fn len(&self) -> Result<u64, ViewError> {
        self.copy.store.count(GlobalStore::TABLE).map_err(|error| self.store_error(error))
    }

    /// Returns `true` if the table has no rows.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, ViewError> {
        Ok(self.len()? == 0)
    }

    /// Returns how far this copy has read the changelog and the inbox of `partition`.
    pub fn position(&self, partition: Partition) -> Position {
        self.copy.store.position(PositionSlot(partition.get())).into()
    }

    /// Returns the number of partitions of the table.
    pub fn partitions(&self) -> u32 {
        self.copy.partitions
    }

    /// Returns the home partition of `key`.
    pub fn partition_of(&self, key: impl AsKey<K>) -> Partition {
        let mut bytes = Vec::new();
        key.lend(|key| key.encode(&mut bytes));
        self.partitioner.partition(&bytes, self.copy.partitions)
    }

    /// Waits until this copy includes the change `sent`, and returns the copy's position. There is
    /// no time limit. If the worker stops, the returned position may be one without the change.
    pub async fn wait_for(&self, sent: &Sent) -> Position {
        let mut moved = self.copy.moved.clone();
        loop {
            moved.mark_unchanged();
            let position = self.position(sent.partition);
            // An error means that the worker has stopped, so the copy does not advance any more.
            if position.includes(sent) || moved.changed().await.is_err() {
                return position;
            }
        }
    }

    fn collect(&self, range: &KeyRange) -> Result<Vec<(K, V)>, ViewError> {
        self.rows(range).map(pass_over)
    }

    #[allow(clippy::type_complexity)]
    fn rows(&self, range: &KeyRange) -> Result<Vec<Result<(K, V), UndecodableRow>>, ViewError> {
        let scan = self
            .copy
            .store
            .scan(GlobalStore::TABLE, range, usize::MAX, PositionSlot(0))
            .map_err(|error| self.store_error(error))?;
        let decode = |(key, value): (&[u8], Option<&[u8]>)| {
            let row = decode_row(&*self.codec, key, value.unwrap_or_default());
            row.map_err(|reason| self.undecodable_row(key, reason))
        };
        Ok(scan.rows.iter().map(decode).collect())
    }

    fn store_error(&self, error: marlowe_state::StoreError) -> ViewError {
        ViewError::Store { table: self.table.name.clone(), source: Arc::new(error) }
    }

    fn undecodable_row(&self, ordered: &[u8], reason: CodecError) -> UndecodableRow {
        let partition = K::decode_ordered(ordered).ok().map(|key| self.partition_of(key));
        UndecodableRow::new::<K>(self.table.name.clone(), partition, ordered, reason)
    }
}

/// A global table in an agent or partition timer. It reads the worker's copy. Its changes go to the
/// key's owner in the event's transaction.
///
/// A handler does not see its own changes, because the copy holds committed state only.
pub struct GlobalCopy<K, V> {
    reader: GlobalReader<K, V>,
    sender: InboxSender<K, V>,
}

impl<K, V> Clone for GlobalCopy<K, V> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), sender: self.sender.clone() }
    }
}

impl<K, V> std::ops::Deref for GlobalCopy<K, V> {
    type Target = GlobalReader<K, V>;

    fn deref(&self) -> &GlobalReader<K, V> {
        &self.reader
    }
}

impl<K: Key, V: 'static> GlobalCopy<K, V> {
    pub(crate) fn new(reader: GlobalReader<K, V>, inbox: Rc<OpenInbox<K, V>>) -> Self {
        Self { reader, sender: InboxSender::new(inbox) }
    }

    /// Sends a change to the owner of `key`; see [`InboxSender::send`].
    pub fn send(&self, key: impl AsKey<K>, change: V) {
        self.sender.send(key, change);
    }

    /// Makes `value` the row of `key`; see [`InboxSender::replace`].
    pub fn replace(&self, key: impl AsKey<K>, value: V) {
        self.sender.replace(key, value);
    }

    /// Removes the row of `key`; see [`InboxSender::remove`].
    pub fn remove(&self, key: impl AsKey<K>) {
        self.sender.remove(key);
    }
}

/// A global table in a timer, task or web handler. It reads the worker's copy and sends changes to
/// the key's owner.
pub struct GlobalClient<K, V> {
    reader: GlobalReader<K, V>,
    inbox: InboxClient<K, V>,
}

impl<K, V> Clone for GlobalClient<K, V> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), inbox: self.inbox.clone() }
    }
}

impl<K, V> std::ops::Deref for GlobalClient<K, V> {
    type Target = GlobalReader<K, V>;

    fn deref(&self) -> &GlobalReader<K, V> {
        &self.reader
    }
}

impl<K: Key, V: 'static> GlobalClient<K, V> {
    pub(crate) fn new(reader: GlobalReader<K, V>, inbox: InboxClient<K, V>) -> Self {
        Self { reader, inbox }
    }

    /// Sends a change to the owner of `key`; see [`InboxClient::send`].
    ///
    /// # Errors
    /// As [`InboxClient::send`].
    pub async fn send(&self, key: impl AsKey<K>, change: V) -> Result<Sent, SendError> {
        self.inbox.send(key, change).await
    }

    /// Makes `value` the row of `key`; see [`InboxClient::replace`].
    ///
    /// # Errors
    /// As [`InboxClient::send`].
    pub async fn replace(&self, key: impl AsKey<K>, value: V) -> Result<Sent, SendError> {
        self.inbox.replace(key, value).await
    }

    /// Removes the row of `key`; see [`InboxClient::remove`].
    ///
    /// # Errors
    /// As [`InboxClient::send`].
    pub async fn remove(&self, key: impl AsKey<K>) -> Result<Sent, SendError> {
        self.inbox.remove(key).await
    }
}
