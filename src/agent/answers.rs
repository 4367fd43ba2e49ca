use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Clock, Header, NewRecord, Partition, Partitioner};
use marlowe_state::Hand;

use super::sink::OpenSink;
use crate::codec::{Codec, CodecError, encode_value};
use crate::outbound::{ASKS, CORRELATION, REPLY_ERROR, REPLY_KEY, REPLY_TO, find};
use crate::scope::ShardScope;
use crate::topic::{OutTopicSettings, open_out_topic};
use crate::turn::{Cursor, Turn};

/// How much is told of why an event failed, in characters: it must fit into a record.
pub(super) const LONGEST_REASON: usize = 1024;

/// How an agent in its shard answers requests: the part that does not know what.
pub(crate) struct OpenAnswers {
    agent: Arc<str>,
    /// The topic of replies to those who wait for them.
    replies: Arc<str>,
    out: OutTopicSettings,
    turn: Rc<Turn>,
    clock: Arc<dyn Clock>,
}

/// A request to the agent, by its headers.
struct Request<'a> {
    reply_to: &'a str,
    headers: Vec<Header<'a>>,
}

impl OpenAnswers {
    pub(crate) fn new(agent: Arc<str>, replies: Arc<str>, shard: &ShardScope) -> Self {
        let out = open_out_topic(&replies, Partitioner::default(), shard);
        Self { agent, replies, out, turn: shard.turn.clone(), clock: shard.worker.clock.clone() }
    }

    /// What a record asks of this agent, if anything.
    fn request<'a>(&self, record: &'a Cursor) -> Option<Request<'a>> {
        // Empty for most, and then nothing is allocated.
        let headers = record.batch.headers(record.index);
        if find(&headers, ASKS)? != self.agent.as_bytes() {
            return None;
        }
        let reply_to = std::str::from_utf8(find(&headers, REPLY_TO)?).ok()?;
        Some(Request { reply_to, headers })
    }

    /// Tells whoever waits that there will be no answer.
    pub(crate) fn refuse(&self, hand: Hand, record: &Cursor, reason: &str) {
        let Some(request) = self.request(record) else { return };
        self.turn.begin(hand, record.record().timestamp);
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        self.reply(hand, &request, Err(&reason));
    }

    /// Sends an answer. One with a value that is larger than a record may be fails the event of `hand`; a refusal is given up,
    /// because its event has failed already, and the hand is the next one's.
    fn reply(&self, hand: Hand, request: &Request<'_>, answer: Result<Option<&[u8]>, &str>) {
        let Some(partition) = self.place(request.reply_to) else { return };
        let Some(correlation) = find(&request.headers, CORRELATION) else { return };
        let headers = [
            Header::new(CORRELATION, correlation),
            Header::new(REPLY_ERROR, answer.err().unwrap_or_default().as_bytes()),
        ];
        let headers = if answer.is_ok() { &headers[..1] } else { &headers };
        // Not the request's time, which may be long ago: answers are deleted by their age.
        let timestamp = self.clock.now();
        let reply = NewRecord { timestamp, key: None, value: answer.ok().flatten(), headers };
        if answer.is_ok() || self.out.fits(&reply) {
            self.out.send_to(&self.turn, hand, partition, reply);
        } else {
            tracing::warn!(agent = %self.agent, "whoever asked is not told that there is no answer: the request's correlation is too long");
        }
    }

    /// The partition of `topic/partition`, where that is one of replies. Records of any producer say it, so it is looked at.
    fn place(&self, reply_to: &str) -> Option<Partition> {
        let number: u32 = reply_to.strip_prefix(&*self.replies)?.strip_prefix('/')?.parse().ok()?;
        (number < self.out.partitions).then(|| Partition::new(number))
    }
}

/// How an agent in its shard answers requests, with what its handler returns.
pub(crate) struct Answering<R> {
    pub(crate) open: Rc<OpenAnswers>,
    pub(crate) codec: Arc<dyn Codec<R>>,
    /// Topics that requests may ask to have the reply sent to.
    pub(crate) targets: Vec<(Arc<str>, OpenSink<R>)>,
    pub(crate) buffer: RefCell<Vec<u8>>,
}

impl<R: 'static> Answering<R> {
    /// Sends the reply to whoever wants it, if somebody does.
    pub(crate) fn send(&self, record: &Cursor, reply: &R) -> Result<(), CodecError> {
        let Some(request) = self.open.request(record) else { return Ok(()) };
        let turn = &self.open.turn;
        if let Some((_, target)) = self.targets.iter().find(|(topic, _)| **topic == *request.reply_to) {
            return target.send_keyed(turn, record, find(&request.headers, REPLY_KEY), reply);
        }
        let mut buffer = self.buffer.borrow_mut();
        let value = encode_value(&*self.codec, reply, &mut buffer)?;
        self.open.reply(turn.hand(|| "a reply".into()), &request, Ok(value));
        Ok(())
    }
}
