use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use marlowe_broker::{Header, NewRecord, RecordRef};
use marlowe_state::Hand;

use super::answers::OpenAnswers;
use super::counters::{Counters, count};
use super::failure::{EventFailure, FailurePolicy, Then, panic_text};
use super::handler::{Handler, Unhandled};
use super::input::{Cursor, Input};
use super::link::ShardLink;
use crate::HandlerError;
use crate::client::ask_headers::is_about_a_request;
use crate::topic::OutTopicSettings;
use crate::turn::Participant;

/// An agent at work in a shard: everything but what its handler does.
pub(crate) struct Runner {
    pub(crate) name: Arc<str>,
    /// Its number among the shard's agents and timers.
    pub(crate) who: usize,
    pub(crate) input: Rc<Input>,
    pub(crate) link: Rc<ShardLink>,
    pub(crate) participants: Vec<Rc<dyn Participant>>,
    pub(crate) counters: Rc<Counters>,
    pub(crate) policy: FailurePolicy,
    pub(crate) dead_letter: Option<OutTopicSettings>,
    /// Where requests are answered, if the agent answers any.
    pub(crate) answers: Option<Rc<OpenAnswers>>,
    /// Set while it would take the turn if there were something to do.
    pub(crate) asks: Rc<Cell<bool>>,
    /// How many events it has in hand beside whoever has the turn.
    pub(crate) in_hand: Rc<Cell<usize>>,
}

/// What came of handling a record: a panic, an error, or perhaps a reply.
pub(crate) type Tried<R> = std::thread::Result<Result<Option<R>, Unhandled>>;

/// The hand of events that are handled one at a time.
pub(crate) const ALONE: Hand = Hand(0);

impl Runner {
    /// Waits for the turn.
    pub(crate) async fn turn(&self) -> crate::turn::Holder {
        self.asks.set(true);
        let holder = std::future::poll_fn(|_| match self.link.turn.holder() {
            Some(holder) if holder.who == self.who => std::task::Poll::Ready(holder),
            _ => std::task::Poll::Pending,
        })
        .await;
        self.asks.set(false);
        holder
    }

    /// Tries an event once: on success its changes wait to be applied, on failure nothing is left. `Ok(false)` is an
    /// event that did not pass the filters.
    #[inline]
    pub(crate) async fn attempt<H: Handler>(
        &self,
        handler: &H,
        hand: Hand,
        at: &RecordRef<'_>,
        record: &Cursor,
    ) -> Result<bool, Failed> {
        self.link.turn.begin(hand, at.timestamp);
        let outcome = AssertUnwindSafe(handler.handle(at, record)).catch_unwind().await;
        self.conclude(handler, hand, record, outcome)
    }

    /// What came of a try.
    pub(crate) fn conclude<H: Handler>(
        &self,
        handler: &H,
        hand: Hand,
        record: &Cursor,
        outcome: Tried<H::Reply>,
    ) -> Result<bool, Failed> {
        let outcome = match outcome {
            Ok(Ok(None)) => {
                self.refuse(hand, record, "it does not pass the filters of what the agent reads");
                Ok(Ok(false))
            }
            Ok(Ok(Some(reply))) => self.reply(handler, record, reply),
            Ok(Err(error)) => Ok(Err(error)),
            Err(panic) => Err(panic),
        };
        match (outcome, self.link.turn.take_failure(hand)) {
            (Ok(Ok(kept)), None) => Ok(kept),
            (outcome, refused) => Err(self.failed(hand, outcome, refused)),
        }
    }

    #[inline]
    fn reply<H: Handler>(
        &self,
        handler: &H,
        record: &Cursor,
        reply: H::Reply,
    ) -> std::thread::Result<Result<bool, Unhandled>> {
        if !handler.replies() {
            return Ok(Ok(true));
        }
        // To encode a reply is the user's code too.
        std::panic::catch_unwind(AssertUnwindSafe(|| {
            handler.reply(record, reply).map(|()| true).map_err(Unhandled::Failed)
        }))
    }

    #[cold]
    fn failed(
        &self,
        hand: Hand,
        outcome: std::thread::Result<Result<bool, Unhandled>>,
        refused: Option<HandlerError>,
    ) -> Failed {
        let (error, retry) = match (outcome, refused) {
            // What a table or topic refused is the cause; what the handler made of it is not.
            (_, Some(error)) => (error, Retry::Useful),
            (Ok(Err(Unhandled::Undecodable(error))), None) => (error.into(), Retry::Useless),
            (Ok(Err(Unhandled::Failed(error))), None) => (error, Retry::Useful),
            (Err(panic), None) => (panic_text(&*panic).into(), Retry::Useful),
            (Ok(Ok(_)), None) => ("the handler succeeded".into(), Retry::Useful),
        };
        // One that read rows of before and of after another's change did not fail of itself.
        let current = self.is_current(hand);
        self.link.discard(hand, &self.participants);
        Failed { error, retry: if current { retry } else { Retry::Conflict } }
    }

    /// Whether what the event read is still so.
    pub(crate) fn is_current(&self, hand: Hand) -> bool {
        self.participants.iter().all(|participant| participant.is_current(hand))
    }

    /// Whether a failed event is to be tried again, and after how long.
    pub(crate) fn retry(&self, failed: &Failed, tries: u32) -> Option<std::time::Duration> {
        count(&self.counters.failed);
        if failed.retry == Retry::Useless || tries > self.policy.retries {
            return None;
        }
        count(&self.counters.retried);
        let wait = self.policy.wait(tries);
        tracing::warn!(agent = %self.name, error = %failed.error, "event failed; trying again in {wait:?}");
        Some(wait)
    }

    /// Does what the policy says about an event that was tried enough. With `Ok` the event is done with.
    pub(crate) fn give_up(&self, failed: &Failed, tries: u32, hand: Hand, record: &Cursor) -> Result<(), EventFailure> {
        let at = record.record();
        let source = &self.input.source;
        match &self.policy.then {
            Then::Stop => {
                return Err(EventFailure {
                    agent: self.name.clone(),
                    topic: source.topic.clone(),
                    partition: source.partition,
                    offset: at.offset,
                    tries,
                    reason: failed.error.to_string(),
                });
            }
            Then::Skip => {
                count(&self.counters.skipped);
                tracing::warn!(agent = %self.name, %source, offset = %at.offset, error = %failed.error, "event skipped");
            }
            Then::DeadLetter(topic, _) => {
                count(&self.counters.dead_lettered);
                tracing::warn!(
                    agent = %self.name, %source, offset = %at.offset, error = %failed.error, "event sent to `{topic}`"
                );
                self.send_dead_letter(failed, hand, record);
            }
        }
        self.refuse(hand, record, &failed.error.to_string());
        Ok(())
    }

    /// Tells whoever asked for this event, if somebody did, that there will be no answer.
    fn refuse(&self, hand: Hand, record: &Cursor, reason: &str) {
        if let Some(answers) = &self.answers {
            answers.refuse(hand, record, reason);
        }
    }

    fn send_dead_letter(&self, failed: &Failed, hand: Hand, record: &Cursor) {
        let Some(out) = &self.dead_letter else { return };
        let at = record.record();
        let source = &self.input.source;
        let (reason, partition, offset) =
            (failed.error.to_string(), source.partition.to_string(), at.offset.to_string());
        let mut headers = record.batch.headers(record.index);
        let ours = [
            ("marlowe-error", reason.as_str()),
            ("marlowe-agent", &self.name),
            ("marlowe-topic", &source.topic),
            ("marlowe-partition", &partition),
            ("marlowe-offset", &offset),
        ];
        // Whoever asked is told; the letter asks nobody.
        headers.retain(|header| !is_about_a_request(header));
        headers.extend(ours.map(|(name, value)| Header { name, value: value.as_bytes() }));
        let turn = &self.link.turn;
        turn.begin(hand, at.timestamp);
        let letter = NewRecord { timestamp: at.timestamp, key: at.key, value: at.value, headers: &headers };
        turn.send(hand, out.topic, out.partition(at.key, turn), letter);
    }
}

/// A try that failed.
pub(crate) struct Failed {
    pub(crate) error: HandlerError,
    retry: Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Useful,
    /// It failed on a state that was changing under it, which says nothing of the event.
    Conflict,
    /// Bytes that do not decode will not decode the next time.
    Useless,
}

impl Failed {
    pub(crate) fn is_conflict(&self) -> bool {
        self.retry == Retry::Conflict
    }

    /// A failure that another try may mend.
    pub(crate) fn of(error: HandlerError) -> Self {
        Self { error, retry: Retry::Useful }
    }

    /// Bytes that do not decode.
    pub(crate) fn undecodable(error: crate::codec::CodecError) -> Self {
        Self { error: error.into(), retry: Retry::Useless }
    }
}
