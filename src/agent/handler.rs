//! The interface between the loops of an agent and its typed handler, and the reading of records.

use std::sync::Arc;

use marlowe_broker::{RecordRef, TopicPartition};

use super::event::Event;
use crate::HandlerError;
use crate::codec::{Codec, CodecError, TopicKey, decode_value};
use crate::topic::Filter;
use crate::turn::Cursor;

/// An agent's typed handler of one record.
pub(crate) trait Handler {
    type Reply;

    /// Reads the record and handles it. Both are one call, because a value that is passed on
    /// between calls is copied each time. `None` means that the record does not pass the agent's
    /// filters.
    fn handle(
        &self,
        at: &RecordRef<'_>,
        record: &Cursor,
    ) -> impl Future<Output = Result<Option<Self::Reply>, Unhandled>>;

    /// Returns true if replies are sent anywhere.
    fn replies(&self) -> bool {
        false
    }

    /// Sends a reply to the sinks and to the caller that asked, as part of the event.
    fn reply(&self, _: &Cursor, _: Self::Reply) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// The reason why a record was not handled.
pub(crate) enum Unhandled {
    /// The record does not decode.
    Undecodable(CodecError),
    /// The handler failed.
    Failed(HandlerError),
}

impl From<CodecError> for Unhandled {
    fn from(error: CodecError) -> Self {
        Self::Undecodable(error)
    }
}

impl From<HandlerError> for Unhandled {
    fn from(error: HandlerError) -> Self {
        Self::Failed(error)
    }
}

/// The codec and the filters with which an agent reads values.
pub(crate) struct ValueReader<V> {
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) filters: Vec<Filter<V>>,
}

impl<V> Clone for ValueReader<V> {
    fn clone(&self) -> Self {
        Self { codec: self.codec.clone(), filters: self.filters.clone() }
    }
}

impl<V: 'static> ValueReader<V> {
    #[inline]
    pub(crate) fn read(&self, at: &RecordRef<'_>) -> Result<Option<V>, CodecError> {
        let value = decode_value(&*self.codec, at.value)?;
        Ok(self.filters.iter().all(|keep| keep(&value)).then_some(value))
    }

    pub(crate) fn read_event<K: TopicKey>(
        &self,
        record: &Cursor,
        source: &TopicPartition,
    ) -> Result<Option<Event<K, V>>, CodecError> {
        let at = record.record();
        let Some(value) = self.read(&at)? else { return Ok(None) };
        let headers = record.batch.headers(record.index);
        Ok(Some(Event {
            key: K::decode_key(at.key)?,
            value,
            topic: source.topic.clone(),
            partition: source.partition,
            offset: at.offset,
            timestamp: at.timestamp,
            headers: headers
                .into_iter()
                .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }))
    }
}
