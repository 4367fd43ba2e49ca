use std::sync::Arc;

use marlowe_broker::{Clock, Partitioner};

use super::{AsKey, TableIdentity};
use crate::client::{ClientProducer, Outgoing, SendError, Sent};
use crate::codec::{Codec, Key};

/// Sends changes to rows of a table, from outside any shard. Each is applied once, by the key's owner.
pub struct InboxClient<K, V> {
    table: TableIdentity,
    partitions: u32,
    partitioner: Partitioner,
    codec: Arc<dyn Codec<V>>,
    merges: Merges,
    producer: ClientProducer,
    clock: Arc<dyn Clock>,
    key: std::marker::PhantomData<fn() -> K>,
}

/// Whether a table's changes merge into its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merges {
    Yes,
    No,
}

impl<K, V> Clone for InboxClient<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            partitions: self.partitions,
            partitioner: self.partitioner,
            codec: self.codec.clone(),
            merges: self.merges,
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
            merges: if settings.merge.is_some() { Merges::Yes } else { Merges::No },
            producer,
            clock,
            key: std::marker::PhantomData,
        }
    }

    /// Sends a change: with a [`merge`](crate::Table::merge) it is merged into the row, otherwise it becomes the row.
    /// Returns once the broker has it, with the position a view can [wait for](crate::TableView::wait_for).
    ///
    /// # Errors
    /// When the value does not encode, or the broker does not take it.
    pub async fn send(&self, key: impl AsKey<K>, change: V) -> Result<Sent, SendError> {
        let value = self.encode(&change)?;
        self.produce(key, vec![Some(value)]).await
    }

    /// Makes `value` the row, whatever it was, also where there is a merge.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn replace(&self, key: impl AsKey<K>, value: V) -> Result<Sent, SendError> {
        let value = self.encode(&value)?;
        let changes = match self.merges {
            Merges::Yes => vec![None, Some(value)],
            Merges::No => vec![Some(value)],
        };
        self.produce(key, changes).await
    }

    /// Removes the row.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn remove(&self, key: impl AsKey<K>) -> Result<Sent, SendError> {
        self.produce(key, vec![None]).await
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, SendError> {
        let mut bytes = Vec::new();
        match self.codec.encode(value, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(SendError::Codec { topic: self.table.inbox.clone(), source }),
        }
    }

    async fn produce(&self, key: impl AsKey<K>, changes: Vec<Option<Vec<u8>>>) -> Result<Sent, SendError> {
        let mut key_bytes = Vec::new();
        key.lend(|key| key.encode(&mut key_bytes));
        let partition = self.partitioner.partition(&key_bytes, self.partitions);
        let timestamp = self.clock.now();
        let record = |value| Outgoing {
            topic: self.table.inbox.clone(),
            partition,
            timestamp,
            key: Some(key_bytes.clone()),
            value,
            headers: Vec::new(),
        };
        self.producer.send_all(changes.into_iter().map(record).collect()).await
    }
}
