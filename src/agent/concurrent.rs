//! The loop of an agent that handles several events at a time, with optimistic concurrency.
//!
//! # The protocol
//!
//! Up to `limit` handlers run at a time. Each works in a slot of its own: its writes go to an
//! overlay that only it sees, and the tables note the versions of the rows that it used. Two events
//! of one key never run at the same time.
//!
//! 1. Events are begun in the order of the input. A finished event waits until all events before it
//!    are applied.
//! 2. The first event is applied when its handler is done and nobody holds the strand's turn. The
//!    holder must not see rows change under it.
//! 3. Before an event is applied, its rows are checked. If a row has changed since the event used
//!    it, the event has a *conflict*: it is discarded and handled again. After [`CONFLICTS`]
//!    conflicts it is handled alone, while the agent holds the turn.
//! 4. A failure counts only if the event was the first one when its handler began. Otherwise the
//!    event may have failed on a state that the events before it still change. It is then handled
//!    again once it is the first.
//!
//! So events are applied in the order of the input, and each one as if it had run after the one
//! before. The committed position and the committed state therefore always cover the same events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use marlowe_state::TxnSlot;

use super::handler::Handler;
use super::runner::{Failed, Passed, Runner};
use crate::turn::{Cursor, Turn, count};

/// The number of events that may be begun for each one that may run. Finished events wait in this
/// window for those before them.
const WINDOW: usize = 4;

/// An event with this many conflicts is handled alone.
const CONFLICTS: u32 = 3;

/// An event that was taken from the input and is not applied yet.
struct Begun {
    record: Cursor,
    txn: TxnSlot,
    state: EventState,
    /// True if all events before it were applied when its handler began. Only then has the handler
    /// seen the state that it would have seen alone, so only then does a failure count.
    first: bool,
    tries: u32,
    conflicts: u32,
}

#[derive(Debug)]
enum EventState {
    /// Begins when there is room and no earlier event has its key.
    Waits,
    /// Begins again when it is the first. It failed on a state that the events before it may still
    /// change.
    WaitsToBeFirst,
    Runs,
    /// Ready to be applied.
    Done(Passed),
}

/// Handles up to `limit` events of different keys at a time, and applies them in the order of the
/// input. The module's page describes the protocol.
pub(crate) async fn concurrent<H: Handler + 'static>(runner: Runner, handler: H, limit: usize) {
    let window = Window {
        runner: Rc::new(runner),
        handler: Rc::new(handler),
        limit,
        begun: VecDeque::new(),
        running: FuturesUnordered::new(),
    };
    // What stopped it is told to the shard.
    let Err(Stopped) = window.run().await;
}

/// The events that were taken from the input and are not applied yet.
struct Window<H> {
    runner: Rc<Runner>,
    handler: Rc<H>,
    /// The most handlers that run at a time.
    limit: usize,
    /// In the order of the input.
    begun: VecDeque<Begun>,
    running: FuturesUnordered<LocalBoxFuture<'static, EndedHandler>>,
}

/// A handler that ended: the slot of its event, and the outcome.
type EndedHandler = (TxnSlot, Result<Passed, Failed>);

/// An event failed for good, and the agent's policy is to stop. The shard knows.
struct Stopped;

impl<H: Handler + 'static> Window<H> {
    async fn run(mut self) -> Result<Infallible, Stopped> {
        loop {
            self.take_events();
            self.begin_handlers()?;
            // Events that waited for the applied ones may begin now.
            let applied = self.apply_finished().await?;
            self.runner.agent.in_hand.set(self.begun.len());
            self.runner.agent.input.front().set_begun(self.begun.len());
            if applied == 0
                && let Some(ended) = self.next_ended().await
            {
                self.settle(ended)?;
            }
        }
    }

    /// Returns true if another event may be taken from the input.
    fn has_room(&self) -> bool {
        self.begun.len() < self.limit * WINDOW && !self.runner.link.closing.get()
    }

    fn take_events(&mut self) {
        while self.has_room() {
            let Some(record) = self.runner.agent.input.peek(self.begun.len()) else { break };
            count(&self.runner.agent.counters.events);
            let txn = self.runner.link.turn.take_slot();
            self.begun.push_back(Begun { record, txn, state: EventState::Waits, first: false, tries: 0, conflicts: 0 });
        }
    }

    fn begin_handlers(&mut self) -> Result<(), Stopped> {
        for index in 0..self.begun.len() {
            if self.running.len() >= self.limit {
                break;
            }
            let may_begin = match self.begun[index].state {
                EventState::Waits => !key_is_taken(&self.begun, index),
                EventState::WaitsToBeFirst => index == 0,
                EventState::Runs | EventState::Done(_) => false,
            };
            if !may_begin {
                continue;
            }
            // If the agent is condemned, its first event is the one that must fail.
            let condemned = if index == 0 { self.runner.condemned() } else { None };
            let event = &mut self.begun[index];
            if let Some(failed) = condemned {
                give_up(&self.runner, &failed, 1, event)?;
                continue;
            }
            event.state = EventState::Runs;
            event.first = index == 0;
            self.running.push(start(&self.runner, &self.handler, event, None));
        }
        Ok(())
    }

    /// Applies finished events in order. Returns the number of events that were applied, or must be
    /// handled again. This needs a free turn, because the holder of the turn must not see rows
    /// change.
    async fn apply_finished(&mut self) -> Result<usize, Stopped> {
        let runner = self.runner.clone();
        let mut looked_at = 0;
        while let Some(first) = self.begun.front_mut()
            && let EventState::Done(passed) = first.state
            && runner.strand.holder().is_none()
        {
            if runner.link.commits_alone() {
                // Under a quota the shard decides when an event may be applied, as it does for
                // serial agents.
                runner.turn().await;
            }
            looked_at += 1;
            if runner.is_current(first.txn) {
                if passed == Passed::Handled {
                    count(&runner.agent.counters.handled);
                }
                finish(&runner, &mut self.begun);
            } else {
                count(&runner.agent.counters.conflicts);
                runner.link.discard(first.txn, &runner.participants);
                first.conflicts += 1;
                if first.conflicts < CONFLICTS {
                    first.state = EventState::Waits;
                } else {
                    alone(&runner, &*self.handler, first).await?;
                }
            }
            runner.give_back_turn();
        }
        Ok(looked_at)
    }

    /// Waits until a handler ends, and returns it. Returns `None` when a record comes or the turn
    /// is free. The shard polls on each of these.
    async fn next_ended(&mut self) -> Option<EndedHandler> {
        std::future::poll_fn(|context| match self.running.poll_next_unpin(context) {
            Poll::Ready(Some(ended)) => Poll::Ready(Some(ended)),
            Poll::Ready(None) | Poll::Pending => {
                let more = self.has_room() && self.runner.agent.input.peek(self.begun.len()).is_some();
                let ready = matches!(self.begun.front(), Some(Begun { state: EventState::Done(_), .. }));
                if more || (ready && self.runner.strand.holder().is_none()) { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await
    }

    /// Decides what follows from a handler's outcome.
    fn settle(&mut self, (txn, outcome): EndedHandler) -> Result<(), Stopped> {
        let Some(event) = self.begun.iter_mut().find(|event| event.txn == txn) else { return Ok(()) };
        match outcome {
            Ok(passed) => event.state = EventState::Done(passed),
            Err(failed) if failed.is_conflict() => {
                count(&self.runner.agent.counters.conflicts);
                event.state = EventState::Waits;
            }
            Err(_) if !event.first => {
                count(&self.runner.agent.counters.conflicts);
                event.state = EventState::WaitsToBeFirst;
            }
            Err(failed) => {
                event.tries += 1;
                match self.runner.retry(&failed, event.tries) {
                    Some(wait) => self.running.push(start(&self.runner, &self.handler, event, Some(wait))),
                    None => give_up(&self.runner, &failed, event.tries, event)?,
                }
            }
        }
        Ok(())
    }
}

/// Lets an event fail for good, by the agent's policy.
fn give_up(runner: &Runner, failed: &Failed, tries: u32, event: &mut Begun) -> Result<(), Stopped> {
    if let Err(failure) = runner.give_up(failed, tries, event.txn, &event.record) {
        runner.link.fail(failure);
        return Err(Stopped);
    }
    event.state = EventState::Done(Passed::Dropped);
    Ok(())
}

/// Returns true if an event before `index` that is not applied has the same key. Records without a
/// key never share one.
fn key_is_taken(begun: &VecDeque<Begun>, index: usize) -> bool {
    let Some(key) = begun[index].record.record().key else { return false };
    begun.iter().take(index).any(|earlier| earlier.record.record().key == Some(key))
}

/// Runs the first event while this agent holds the turn, so that nothing changes the rows that it
/// uses.
async fn alone<H: Handler>(runner: &Runner, handler: &H, event: &mut Begun) -> Result<(), Stopped> {
    loop {
        runner.turn().await;
        let at = event.record.record();
        let attempt = runner.attempt(handler, event.txn, &at, &event.record);
        let outcome = InHand { turn: runner.link.turn.clone(), txn: event.txn, future: Box::pin(attempt) }.await;
        runner.strand.release();
        event.tries += 1;
        match outcome {
            Ok(passed) => {
                event.state = EventState::Done(passed);
                return Ok(());
            }
            Err(failed) => match runner.retry(&failed, event.tries) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return give_up(runner, &failed, event.tries, event),
            },
        }
    }
}

/// Applies the first event, and finishes its record.
fn finish(runner: &Runner, begun: &mut VecDeque<Begun>) {
    if let Some(event) = begun.pop_front() {
        runner.link.apply(event.txn, runner.number, &runner.participants);
        runner.link.turn.return_slot(event.txn);
        runner.agent.input.finish(event.record.record().offset);
    }
}

fn start<H: Handler + 'static>(
    runner: &Rc<Runner>,
    handler: &Rc<H>,
    event: &Begun,
    wait: Option<std::time::Duration>,
) -> LocalBoxFuture<'static, EndedHandler> {
    let (runner, handler, record, txn) = (runner.clone(), handler.clone(), event.record.clone(), event.txn);
    let turn = runner.link.turn.clone();
    Box::pin(async move {
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        let attempt = async move { runner.attempt(&*handler, txn, &record.record(), &record).await };
        (txn, InHand { turn, txn, future: Box::pin(attempt) }.await)
    })
}

/// A handler's future that is polled with its event's slot as the current one.
struct InHand<'a, T> {
    turn: Rc<Turn>,
    txn: TxnSlot,
    future: LocalBoxFuture<'a, T>,
}

impl<T> Future for InHand<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Self { turn, txn, future } = &mut *self;
        turn.within(*txn, || future.as_mut().poll(context))
    }
}
