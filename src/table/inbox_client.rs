use std::sync::Arc;

use marlowe_broker::{Clock, Partitioner};
use marlowe_state::MAX_KEY_BYTES;

use super::REPLACE_HEADER;
use super::as_key::AsKey;
use super::declaration::TableIdentity;
use crate::codec::{Codec, Key, KeyTooLong};
use crate::outbound::{ClientProducer, Outgoing, SendError, Sent};

/// Sends changes to rows of a table, from outside any shard. Each is applied once, by the key's owner.
pub struct InboxClient<K, V> {
    table: TableIdentity,
    partitions: u32,
    partitioner: Partitioner,
    codec: Arc<dyn Codec<V>>,
    producer: ClientProducer,
    clock: Arc<dyn Clock>,
    key: std::marker::PhantomData<fn() -> K>,
}

/// What a change does to a row that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is merged into the row, where the table has a merge.
    Merge,
    /// It replaces the row.
    Replace,
}

impl Effect {
    /// The headers that say so to the owner.
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

    /// Sends a change: with a [`merge`](crate::Table::merge) it is merged into the row, otherwise it becomes the row.
    /// Returns once the broker has it, with the position a view can [wait for](crate::TableView::wait_for).
    ///
    /// # Errors
    /// When the key is over [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), the value does not encode, or the broker does not take it.
    pub async fn send(&self, key: impl AsKey<K>, change: V) -> Result<Sent, SendError> {
        let value = self.encode(&change)?;
        self.produce(key, Some(value), Effect::Merge).await
    }

    /// Makes `value` the row, whatever it was, also where there is a merge.
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
