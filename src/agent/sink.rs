//! Sinks: the topics to which an agent sends the values that its handler returns.

use std::cell::RefCell;
use std::sync::Arc;

use marlowe_broker::{NewRecord, Partitioner};

use crate::codec::{Codec, CodecError, TopicKey, encode_value};
use crate::outbound::is_about_a_request;
use crate::scope::ShardScope;
use crate::topic::{OutTopicSettings, Topic, open_out_topic};
use crate::turn::{Cursor, Turn};

/// A topic for an agent's replies, as [`Agent::sink`](crate::Agent::sink) declares it.
pub(crate) struct Sink<R> {
    pub(crate) topic: Arc<str>,
    pub(crate) partitioner: Partitioner,
    pub(crate) codec: Arc<dyn Codec<R>>,
}

impl<R> Clone for Sink<R> {
    fn clone(&self) -> Self {
        Self { topic: self.topic.clone(), partitioner: self.partitioner, codec: self.codec.clone() }
    }
}

impl<R: 'static> Sink<R> {
    pub(crate) fn to<K: TopicKey>(topic: Topic<K, R>) -> Self {
        let settings = topic.0.settings();
        Self { topic: topic.0.name.clone(), partitioner: settings.partitioner, codec: settings.codec }
    }

    pub(crate) fn open(&self, shard: &ShardScope) -> OpenSink<R> {
        OpenSink {
            out: open_out_topic(&self.topic, self.partitioner, shard),
            codec: self.codec.clone(),
            buffer: RefCell::default(),
        }
    }
}

pub(crate) struct OpenSink<R> {
    out: OutTopicSettings,
    codec: Arc<dyn Codec<R>>,
    buffer: RefCell<Vec<u8>>,
}

impl<R: 'static> OpenSink<R> {
    /// Sends a reply with the key, headers and timestamp of the event that it answers.
    pub(crate) fn send(&self, turn: &Turn, event: &Cursor, reply: &R) -> Result<(), CodecError> {
        self.send_keyed(turn, event, event.record().key, reply)
    }

    /// Sends a reply as [`send`](Self::send) does, but under the key `key`.
    pub(crate) fn send_keyed(
        &self,
        turn: &Turn,
        event: &Cursor,
        key: Option<&[u8]>,
        reply: &R,
    ) -> Result<(), CodecError> {
        let txn = turn.txn(|| "a sink".into());
        let mut buffer = self.buffer.borrow_mut();
        let value = encode_value(&*self.codec, reply, &mut buffer)?;
        let mut headers = event.batch.headers(event.index);
        // The record that is sent on is not a request, so it loses the headers of one.
        headers.retain(|header| !is_about_a_request(header));
        let timestamp = event.record().timestamp;
        self.out.send(turn, txn, NewRecord { timestamp, key, value, headers: &headers });
        Ok(())
    }
}
