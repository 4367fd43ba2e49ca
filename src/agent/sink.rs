use std::cell::RefCell;
use std::sync::Arc;

use marlowe_broker::{NewRecord, Partitioner};

use crate::codec::{Codec, CodecError, TopicKey, encode_value};
use crate::outbound::is_about_a_request;
use crate::scope::ShardScope;
use crate::topic::{OutTopicSettings, Topic, open_out_topic};
use crate::turn::{Cursor, Turn};

/// Where an agent's replies go: a topic, by [`Agent::sink`](crate::Agent::sink).
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
    /// Sends a reply on, with the key, headers and timestamp of the event it answers.
    pub(crate) fn send(&self, turn: &Turn, event: &Cursor, reply: &R) -> Result<(), CodecError> {
        self.send_keyed(turn, event, event.record().key, reply)
    }

    /// The same under another key.
    pub(crate) fn send_keyed(
        &self,
        turn: &Turn,
        event: &Cursor,
        key: Option<&[u8]>,
        reply: &R,
    ) -> Result<(), CodecError> {
        let hand = turn.hand(|| "a sink".into());
        let mut buffer = self.buffer.borrow_mut();
        let value = encode_value(&*self.codec, reply, &mut buffer)?;
        let mut headers = event.batch.headers(event.index);
        // What is sent on asks nobody.
        headers.retain(|header| !is_about_a_request(header));
        let timestamp = event.record().timestamp;
        self.out.send(turn, hand, NewRecord { timestamp, key, value, headers: &headers });
        Ok(())
    }
}
