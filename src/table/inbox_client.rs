//! The sending side of a table's inbox outside shards.

use std::sync::Arc;

use marlowe_broker::{Clock, Partitioner};
use marlowe_state::MAX_KEY_BYTES;

use super::REPLACE_HEADER;
use super::as_key::AsKey;
use super::declaration::TableIdentity;
use crate::codec::{Codec, Key, KeyTooLong};
use crate::outbound::{ClientProducer, Outgoing, SendError, Sent};

/// Sends changes to rows of a table from outside any shard. The key's owner applies each change
/// once.
pub struct InboxClient<K, V> {
    table: TableIdentity,
    partitions: u32,
    partitioner: Partitioner,
    codec: Arc<dyn Codec<V>>,
    producer: ClientProducer,
    clock: Arc<dyn Clock>,
    key: std::marker::PhantomData<fn() -> K>,
}

/// The effect of a change on a row that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The change is merged into the row if the table has a merge, and otherwise replaces it.
    Merge,
    /// The change replaces the row, even if the table has a merge.
    Replace,
}

impl Effect {
    /// Returns the headers that tell the owner which effect is meant.
    pub(crate) fn headers(self) -> Vec<(String, Option<Vec<u8>>)> {
        match self {
            Effect::Merge => Vec::new(),
            Effect::Replace => vec![(REPLACE_HEADER.to_owned(), Some(Vec::new()))],
        }
    }
}

impl<K, V> Clone for InboxClient<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            partitions: self.partitions,
            partitioner: self.partitioner,
            codec: self.codec.clone(),
            producer: self.producer.clone(),
            clock: self.clock.clone(),
            key: self.key,
        }
    }
}

impl<K: Key, V: 'static> InboxClient<K, V> {
    pub(crate) fn new(
        table: TableIdentity,
        partitions: u32,
        settings: super::declaration::TableSettings<V>,
        producer: ClientProducer,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            table,
            partitions,
            partitioner: settings.partitioner,
            codec: settings.codec,
            producer,
            clock,
            key: std::marker::PhantomData,
        }
    }

    /// Sends a change. If the table has a [`merge`](crate::Table::merge), the change is merged into
    /// the row. Otherwise it becomes the row. Returns when the broker has the record, with the
    /// position that a view can [wait for](crate::table::TableView::wait_for).
    ///
    /// # Errors
    /// If the key is longer than [`MAX_KEY_BYTES`](crate::codec::MAX_KEY_BYTES), the value does not
    /// encode, the broker does not take the record, or the worker or client has stopped.
    pub async fn send(&self, key: impl AsKey<K>, change: V) -> Result<Sent, SendError> {
        let value = self.encode(&change)?;
        self.produce(key, Some(value), Effect::Merge).await
    }

    /// Makes `value` the row, whatever the row was, even if the table has a merge.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn replace(&self, key: impl AsKey<K>, value: V) -> Result<Sent, SendError> {
        let value = self.encode(&value)?;
        self.produce(key, Some(value), Effect::Replace).await
    }

    /// Removes the row.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn remove(&self, key: impl AsKey<K>) -> Result<Sent, SendError> {
        self.produce(key, None, Effect::Merge).await
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, SendError> {
        let mut bytes = Vec::new();
        match self.codec.encode(value, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(SendError::Codec { topic: self.table.inbox.clone(), source }),
        }
    }

    async fn produce(&self, key: impl AsKey<K>, value: Option<Vec<u8>>, effect: Effect) -> Result<Sent, SendError> {
        let mut key_bytes = Vec::new();
        key.lend(|key| {
            KeyTooLong::check(&self.table.name, key, MAX_KEY_BYTES, &mut key_bytes)?;
            key_bytes.clear();
            key.encode(&mut key_bytes);
            Ok::<_, KeyTooLong>(())
        })?;
        let record = Outgoing {
            topic: self.table.inbox.clone(),
            partition: self.partitioner.partition(&key_bytes, self.partitions),
            timestamp: self.clock.now(),
            key: Some(key_bytes),
            value,
            headers: effect.headers(),
        };
        self.producer.send(record).await
    }
}
