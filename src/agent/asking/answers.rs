//! The shard's side of requests: recognizes a request by its headers, and sends the answer or the
//! refusal.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Clock, Header, NewRecord, Partition, Partitioner};
use marlowe_state::TxnSlot;

use crate::agent::sink::OpenSink;
use crate::codec::{Codec, CodecError, encode_value};
use crate::outbound::{ASKS, CORRELATION, REPLY_ERROR, REPLY_KEY, REPLY_TO, find};
use crate::scope::ShardScope;
use crate::topic::{OutTopicSettings, open_out_topic};
use crate::turn::{Cursor, Turn};

/// The most characters of a failure's reason that are sent on. The reason must fit into a record.
pub(crate) const LONGEST_REASON: usize = 1024;

/// The part of an agent's answering in a shard that does not depend on the reply's type.
pub(crate) struct OpenAnswers {
    agent: Arc<str>,
    /// The topic of replies to callers that wait for them.
    replies: Arc<str>,
    out: OutTopicSettings,
    turn: Rc<Turn>,
    clock: Arc<dyn Clock>,
}

/// A request to the agent, as its headers describe it.
struct ReceivedRequest<'a> {
    reply_to: &'a str,
    headers: Vec<Header<'a>>,
}

impl OpenAnswers {
    pub(crate) fn new(agent: Arc<str>, replies: Arc<str>, shard: &ShardScope) -> Self {
        let out = open_out_topic(&replies, Partitioner::default(), shard);
        Self { agent, replies, out, turn: shard.turn.clone(), clock: shard.worker.clock.clone() }
    }

    /// Returns the request to this agent that the record carries, if it carries one.
    fn request<'a>(&self, record: &'a Cursor) -> Option<ReceivedRequest<'a>> {
        // Most records have no headers, and then nothing is allocated.
        let headers = record.batch.headers(record.index);
        if find(&headers, ASKS)? != self.agent.as_bytes() {
            return None;
        }
        let reply_to = std::str::from_utf8(find(&headers, REPLY_TO)?).ok()?;
        Some(ReceivedRequest { reply_to, headers })
    }

    /// Tells the caller, if the record is a request, that there will be no answer.
    pub(crate) fn refuse(&self, txn: TxnSlot, record: &Cursor, reason: &str) {
        let Some(request) = self.request(record) else { return };
        self.turn.begin(txn, record.record().timestamp);
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        self.reply(txn, &request, Err(&reason));
    }

    /// Sends an answer. A value that is larger than a record may be fails the event of `txn`. A
    /// refusal that is too large is dropped with a warning instead, because its event has failed
    /// already and the slot may serve the next event by then.
    fn reply(&self, txn: TxnSlot, request: &ReceivedRequest<'_>, answer: Result<Option<&[u8]>, &str>) {
        let Some(partition) = self.place(request.reply_to) else { return };
        let Some(correlation) = find(&request.headers, CORRELATION) else { return };
        let headers = [
            Header::new(CORRELATION, correlation),
            Header::new(REPLY_ERROR, answer.err().unwrap_or_default().as_bytes()),
        ];
        let headers = if answer.is_ok() { &headers[..1] } else { &headers };
        // The request's time may be long ago, and answers are deleted by their age.
        let timestamp = self.clock.now();
        let reply = NewRecord { timestamp, key: None, value: answer.ok().flatten(), headers };
        if answer.is_ok() || self.out.fits(&reply) {
            self.out.send_to(&self.turn, txn, partition, reply);
        } else {
            tracing::warn!(
                agent = %self.agent,
                "the asker is not told that its request failed, because the request's correlation is too long"
            );
        }
    }

    /// Returns the partition that `topic/partition` names, if that is a partition of the topic of
    /// replies. It is checked because any producer can write this header.
    fn place(&self, reply_to: &str) -> Option<Partition> {
        let number: u32 = reply_to.strip_prefix(&*self.replies)?.strip_prefix('/')?.parse().ok()?;
        (number < self.out.partitions).then(|| Partition::new(number))
    }
}

/// An agent's answering in a shard, including the codec and the topics for the values that its
/// handler returns.
pub(crate) struct Answering<R> {
    pub(crate) open: Rc<OpenAnswers>,
    pub(crate) codec: Arc<dyn Codec<R>>,
    /// Topics to which a request may have the reply sent.
    pub(crate) targets: Vec<(Arc<str>, OpenSink<R>)>,
    pub(crate) buffer: RefCell<Vec<u8>>,
}

impl<R: 'static> Answering<R> {
    /// Sends the reply to the caller, if the record is a request to this agent.
    pub(crate) fn send(&self, record: &Cursor, reply: &R) -> Result<(), CodecError> {
        let Some(request) = self.open.request(record) else { return Ok(()) };
        let turn = &self.open.turn;
        if let Some((_, target)) = self.targets.iter().find(|(topic, _)| **topic == *request.reply_to) {
            return target.send_keyed(turn, record, find(&request.headers, REPLY_KEY), reply);
        }
        let mut buffer = self.buffer.borrow_mut();
        let value = encode_value(&*self.codec, reply, &mut buffer)?;
        self.open.reply(turn.txn(|| "a reply".into()), &request, Ok(value));
        Ok(())
    }
}
