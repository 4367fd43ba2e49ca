//! One attempt at an event, and the failure policy. All three loops of agents use them.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use marlowe_broker::{Clock, Header, NewRecord, RecordRef};
use marlowe_state::TxnSlot;

use super::asking::{LONGEST_REASON, OpenAnswers};
use super::failure::{FailurePolicy, Then};
use super::handler::{Handler, Unhandled};
use super::open::OpenAgent;
use crate::HandlerError;
use crate::error::EventFailure;
use crate::outbound::is_about_a_request;
use crate::panics::panic_text;
use crate::topic::OutTopicSettings;
use crate::turn::{Condemned, Cursor, Doer, Holder, Participant, Runnable, ShardLink, Strand, Told, count};

/// An open agent at work, without its typed handler: it makes attempts at events and applies the
/// failure policy.
pub(crate) struct Runner {
    pub(crate) agent: Rc<OpenAgent>,
    /// The agent's number among the agents of its strand.
    pub(crate) who: usize,
    /// The agent's number among all agents and timers of the shard.
    pub(crate) number: Doer,
    pub(crate) link: Rc<ShardLink>,
    /// The strand that the agent takes turns in.
    pub(crate) strand: Rc<Strand>,
    pub(crate) participants: Vec<Rc<dyn Participant>>,
    pub(crate) policy: FailurePolicy,
    pub(crate) dead_letter: Option<OutTopicSettings>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The answering of requests, if the agent answers any.
    pub(crate) answers: Option<Rc<OpenAnswers>>,
}

/// The outcome of an attempt that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Its handler succeeded.
    Handled,
    /// It does not pass the filters of what the agent reads, or it was given up.
    Dropped,
}

/// The result of handling a record: a panic, an error, a reply, or `None` if the record does not
/// pass the filters.
pub(crate) type Tried<R> = std::thread::Result<Result<Option<R>, Unhandled>>;

impl Runner {
    /// Waits until the agent has the strand's turn.
    pub(crate) async fn turn(&self) -> Holder {
        let asking = Asking::begin(self);
        let holder = std::future::poll_fn(|_| match self.strand.holder() {
            Some(holder) if holder.who == Runnable::Agent(self.who) => std::task::Poll::Ready(holder),
            _ => std::task::Poll::Pending,
        })
        .await;
        asking.end();
        holder
    }

    /// Gives the turn back, if this agent has it.
    pub(crate) fn give_back_turn(&self) {
        if self.strand.holder().is_some_and(|holder| holder.who == Runnable::Agent(self.who)) {
            self.strand.release();
        }
    }

    /// Makes one attempt at an event. On success its changes wait to be applied. On failure nothing
    /// of it is left.
    #[inline]
    pub(crate) async fn attempt<H: Handler>(
        &self,
        handler: &H,
        txn: TxnSlot,
        at: &RecordRef<'_>,
        record: &Cursor,
    ) -> Result<Passed, Failed> {
        self.link.turn.begin(txn, at.timestamp);
        let outcome = AssertUnwindSafe(handler.handle(at, record)).catch_unwind().await;
        self.conclude(handler, txn, record, outcome)
    }

    /// Ends an attempt: sends the reply, checks the event's changes, and discards them if anything
    /// failed.
    pub(crate) fn conclude<H: Handler>(
        &self,
        handler: &H,
        txn: TxnSlot,
        record: &Cursor,
        outcome: Tried<H::Reply>,
    ) -> Result<Passed, Failed> {
        let outcome = match outcome {
            Ok(Ok(None)) => {
                self.refuse(txn, record, "a filter of the agent's stream drops it");
                Ok(Ok(Passed::Dropped))
            }
            Ok(Ok(Some(reply))) => self.reply(handler, record, reply),
            Ok(Err(error)) => Ok(Err(error)),
            Err(panic) => Err(panic),
        };
        match (outcome, self.link.turn.take_failure(txn)) {
            (Ok(Ok(passed)), None) => match self.link.check(txn, &self.participants) {
                Ok(()) => Ok(passed),
                Err(error) => Err(self.failed(txn, Ok(Ok(passed)), Some(error))),
            },
            (outcome, refused) => Err(self.failed(txn, outcome, refused)),
        }
    }

    /// Returns the failure of the agent's next event, if that event must fail without being handled
    /// because the broker refuses the records that come of it.
    #[inline]
    pub(crate) fn condemned(&self) -> Option<Failed> {
        let Condemned { reason, told, .. } = self.link.condemned(self.number)?;
        Some(Failed { error: reason.into(), retry: Retry::Useless, told })
    }

    #[inline]
    fn reply<H: Handler>(
        &self,
        handler: &H,
        record: &Cursor,
        reply: H::Reply,
    ) -> std::thread::Result<Result<Passed, Unhandled>> {
        if !handler.replies() {
            return Ok(Ok(Passed::Handled));
        }
        // Encoding a reply is user code, which may panic.
        std::panic::catch_unwind(AssertUnwindSafe(|| {
            handler.reply(record, reply).map(|()| Passed::Handled).map_err(Unhandled::Failed)
        }))
    }

    #[cold]
    fn failed(
        &self,
        txn: TxnSlot,
        outcome: std::thread::Result<Result<Passed, Unhandled>>,
        refused: Option<HandlerError>,
    ) -> Failed {
        let (error, retry) = match (outcome, refused) {
            // The refusal by a table or topic is the cause. The handler's own result only follows
            // from it.
            (_, Some(error)) => (error, Retry::Useful),
            (Ok(Err(Unhandled::Undecodable(error))), None) => (error.into(), Retry::Useless),
            (Ok(Err(Unhandled::Failed(error))), None) => (error, Retry::Useful),
            (Err(panic), None) => (panic_text(&*panic).into(), Retry::Useful),
            (Ok(Ok(_)), None) => ("the handler succeeded".into(), Retry::Useful),
        };
        // An event that read some rows from before another event's change and some from after it
        // did not fail by its own fault.
        let current = self.is_current(txn);
        self.link.discard(txn, &self.participants);
        Failed { error, retry: if current { retry } else { Retry::Conflict }, told: Told::Everything }
    }

    /// Returns true if the rows that the event used have not changed since.
    pub(crate) fn is_current(&self, txn: TxnSlot) -> bool {
        self.participants.iter().all(|participant| participant.is_current(txn))
    }

    /// Counts a failure, and returns how long to wait before the event is tried again. `None` if it
    /// is not tried again.
    pub(crate) fn retry(&self, failed: &Failed, tries: u32) -> Option<std::time::Duration> {
        count(&self.agent.counters.failed);
        if failed.retry == Retry::Useless || tries > self.policy.retries {
            return None;
        }
        count(&self.agent.counters.retried);
        let wait = self.policy.wait(tries);
        tracing::warn!(agent = %self.agent.name, error = %failed.error, "event failed; trying again in {wait:?}");
        Some(wait)
    }

    /// Applies the policy to an event whose attempts are used up. With `Ok` the event is finished.
    pub(crate) fn give_up(
        &self,
        failed: &Failed,
        tries: u32,
        txn: TxnSlot,
        record: &Cursor,
    ) -> Result<(), EventFailure> {
        let at = record.record();
        let source = &self.agent.input.source;
        match &self.policy.then {
            Then::Stop => {
                return Err(EventFailure {
                    agent: self.agent.name.clone(),
                    topic: source.topic.clone(),
                    partition: source.partition,
                    offset: at.offset,
                    tries,
                    reason: failed.error.to_string(),
                });
            }
            Then::Skip => {
                count(&self.agent.counters.skipped);
                tracing::warn!(agent = %self.agent.name, %source, offset = %at.offset, error = %failed.error, "event skipped");
            }
            Then::DeadLetter(topic, _) => {
                count(&self.agent.counters.dead_lettered);
                match self.send_dead_letter(failed, txn, record) {
                    Ok(()) => tracing::warn!(
                        agent = %self.agent.name, %source, offset = %at.offset, error = %failed.error, "event sent to `{topic}`"
                    ),
                    Err(reason) => tracing::error!(
                        agent = %self.agent.name, %source, offset = %at.offset, error = %failed.error,
                        "event skipped, because no dead letter can be sent to `{topic}`, not even one with only the \
                         event's topic, partition and offset: {reason}"
                    ),
                }
            }
        }
        if failed.told == Told::Everything {
            self.refuse(txn, record, &failed.error.to_string());
        }
        Ok(())
    }

    /// Tells the caller that there will be no answer, if the event is a request.
    fn refuse(&self, txn: TxnSlot, record: &Cursor, reason: &str) {
        if let Some(answers) = &self.answers {
            answers.refuse(txn, record, reason);
        }
    }

    /// Sends an event to the agent's dead-letter topic. If the event is too large for a record,
    /// less of it is sent: first without its own headers, then only its topic, partition and
    /// offset.
    ///
    /// # Errors
    /// If not even its topic, partition and offset can be sent.
    fn send_dead_letter(&self, failed: &Failed, txn: TxnSlot, record: &Cursor) -> Result<(), String> {
        let Some(out) = &self.dead_letter else { return Ok(()) };
        let at = record.record();
        let source = &self.agent.input.source;
        let reason: String = failed.error.to_string().chars().take(LONGEST_REASON).collect();
        let (partition, offset) = (source.partition.to_string(), at.offset.to_string());
        let ours = [
            ("marlowe-error", reason.as_str()),
            ("marlowe-agent", &self.agent.name),
            ("marlowe-topic", &source.topic),
            ("marlowe-partition", &partition),
            ("marlowe-offset", &offset),
        ]
        .map(|(name, value)| Header::new(name, value.as_bytes()));
        let mut headers = record.batch.headers(record.index);
        // The caller gets a refusal of its own, so the dead letter must not be a request.
        headers.retain(|header| !is_about_a_request(header));
        headers.extend(ours);
        let turn = &self.link.turn;
        turn.begin(txn, at.timestamp);
        let whole = NewRecord { timestamp: at.timestamp, key: at.key, value: at.value, headers: &headers };
        let without_headers = NewRecord { headers: &ours, ..whole };
        // The letter has the current time, because the broker may be refusing the event's own
        // timestamp.
        let place = format!("{source}@{}", at.offset);
        let place = NewRecord { timestamp: self.clock.now(), key: Some(place.as_bytes()), value: None, headers: &ours };
        let letters: &[NewRecord<'_>] = match failed.told {
            Told::Everything => &[whole, without_headers, place],
            Told::Place => &[place],
            Told::Nothing => return Err(reason),
        };
        for letter in letters {
            if out.fits(letter) {
                turn.send(txn, out.topic, out.partition(letter.key, turn), *letter);
                return Ok(());
            }
        }
        Err("the dead letter is larger than a record may be".into())
    }
}

/// A request for the turn. A handler may drop the future that waits for the turn. The request then
/// ends, and a turn that was granted meanwhile is given back, so that others can have it.
struct Asking<'a>(Option<&'a Runner>);

impl<'a> Asking<'a> {
    fn begin(runner: &'a Runner) -> Self {
        runner.agent.asks.set(true);
        Self(Some(runner))
    }

    /// Ends the request, because the turn was granted and taken.
    fn end(mut self) {
        if let Some(runner) = self.0.take() {
            runner.agent.asks.set(false);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(runner) = self.0 {
            runner.agent.asks.set(false);
            if runner.strand.holder().is_some_and(|holder| holder.who == Runnable::Agent(runner.who)) {
                runner.strand.release();
            }
        }
    }
}

/// A failed attempt.
pub(crate) struct Failed {
    pub(crate) error: HandlerError,
    retry: Retry,
    /// The amount of the failure that is told outside of the log.
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Useful,
    /// The event failed on a state that changed under it. The failure says nothing about the event.
    Conflict,
    /// Another attempt cannot help: bytes that do not decode will not decode the next time.
    Useless,
}

impl Failed {
    pub(crate) fn is_conflict(&self) -> bool {
        self.retry == Retry::Conflict
    }

    /// Returns a failure that another attempt may fix.
    pub(crate) fn of(error: HandlerError) -> Self {
        Self { error, retry: Retry::Useful, told: Told::Everything }
    }

    /// Returns the failure of a record whose bytes do not decode.
    pub(crate) fn undecodable(error: crate::codec::CodecError) -> Self {
        Self { error: error.into(), retry: Retry::Useless, told: Told::Everything }
    }
}
