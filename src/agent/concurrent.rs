//! The loop of an agent that handles several events at a time, with optimistic concurrency.
//!
//! # The protocol
//!
//! Up to `limit` handlers run at a time. Each works in a hand of its own: its writes go to an
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
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use marlowe_state::Hand;

use super::handler::Handler;
use super::runner::{Failed, Runner};
use crate::turn::{Cursor, Turn, count};

/// The number of events that may be begun for each one that may run. Finished events wait in this
/// window for those before them.
const WINDOW: usize = 4;

/// An event with this many conflicts is handled alone.
const CONFLICTS: u32 = 3;

/// An event that was taken from the input and is not applied yet.
struct Begun {
    record: Cursor,
    hand: Hand,
    state: State,
    /// True if all events before it were applied when its handler began. Only then has the handler
    /// seen the state that it would have seen alone, so only then does a failure count.
    first: bool,
    tries: u32,
    conflicts: u32,
}

#[derive(Debug)]
enum State {
    /// Begins when there is room and no earlier event has its key.
    Waits,
    /// Begins again when it is the first. It failed on a state that the events before it may still
    /// change.
    WaitsToBeFirst,
    Runs,
    /// Ready to be applied. `true` if its handler succeeded, `false` if the filters dropped it or
    /// it was given up.
    Done(bool),
}

/// Handles up to `limit` events of different keys at a time, and applies them in the order of the
/// input. The module's page describes the protocol.
pub(crate) async fn concurrent<H: Handler + 'static>(runner: Runner, handler: H, limit: usize) {
    let runner = Rc::new(runner);
    let handler = Rc::new(handler);
    let mut begun: VecDeque<Begun> = VecDeque::new();
    let mut running: FuturesUnordered<LocalBoxFuture<'static, (Hand, Result<bool, Failed>)>> = FuturesUnordered::new();
    loop {
        // Take events from the input while there is room for them.
        while begun.len() < limit * WINDOW && !runner.link.closing.get() {
            let Some(record) = runner.input.peek(begun.len()) else { break };
            count(&runner.counters.events);
            let hand = runner.link.turn.take_hand();
            begun.push_back(Begun { record, hand, state: State::Waits, first: false, tries: 0, conflicts: 0 });
        }
        for index in 0..begun.len() {
            if running.len() >= limit {
                break;
            }
            let may_begin = match begun[index].state {
                State::Waits => !key_is_taken(&begun, index),
                State::WaitsToBeFirst => index == 0,
                State::Runs | State::Done(_) => false,
            };
            if !may_begin {
                continue;
            }
            // If the agent is condemned, its first event is the one that must fail.
            let condemned = if index == 0 { runner.condemned() } else { None };
            if let Some(failed) = condemned {
                let event = &mut begun[index];
                if let Err(failure) = runner.give_up(&failed, 1, event.hand, &event.record) {
                    runner.link.fail(failure);
                    return;
                }
                event.state = State::Done(false);
                continue;
            }
            begun[index].state = State::Runs;
            begun[index].first = index == 0;
            running.push(start(&runner, &handler, &begun[index], None));
        }
        // Apply finished events in order. Then events that waited for them may begin. This needs a
        // free turn, because the holder of the turn must not see rows change.
        let mut moved = false;
        while let Some(first) = begun.front_mut()
            && let State::Done(kept) = first.state
        {
            if runner.strand.holder().is_some() {
                break;
            }
            if runner.link.commits_alone() {
                // Under a quota the shard decides when an event may be applied, as it does for
                // serial agents.
                runner.turn().await;
            }
            moved = true;
            let hand = first.hand;
            if !runner.is_current(hand) {
                count(&runner.counters.conflicts);
                runner.link.discard(hand, &runner.participants);
                first.conflicts += 1;
                if first.conflicts < CONFLICTS {
                    first.state = State::Waits;
                } else if alone(&runner, &*handler, first).await.is_err() {
                    return;
                }
                runner.give_back_turn();
                continue;
            }
            if kept {
                count(&runner.counters.handled);
            }
            finish(&runner, &mut begun);
            runner.give_back_turn();
        }
        runner.in_hand.set(begun.len());
        runner.input.front().set_begun(begun.len());
        if moved {
            continue;
        }
        // Wait until a handler ends, a record comes, or the turn is free. The shard polls on each
        // of these.
        let done = std::future::poll_fn(|context| match running.poll_next_unpin(context) {
            Poll::Ready(Some(done)) => Poll::Ready(Some(done)),
            Poll::Ready(None) | Poll::Pending => {
                let room = begun.len() < limit * WINDOW
                    && !runner.link.closing.get()
                    && runner.input.peek(begun.len()).is_some();
                let ready = matches!(begun.front(), Some(Begun { state: State::Done(_), .. }));
                if room || (ready && runner.strand.holder().is_none()) { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await;
        let Some((hand, outcome)) = done else { continue };
        let Some(event) = begun.iter_mut().find(|event| event.hand == hand) else { continue };
        match outcome {
            Ok(kept) => event.state = State::Done(kept),
            Err(failed) if failed.is_conflict() => {
                count(&runner.counters.conflicts);
                event.state = State::Waits;
            }
            Err(_) if !event.first => {
                count(&runner.counters.conflicts);
                event.state = State::WaitsToBeFirst;
            }
            Err(failed) => {
                event.tries += 1;
                if let Some(wait) = runner.retry(&failed, event.tries) {
                    running.push(start(&runner, &handler, event, Some(wait)));
                } else if let Err(failure) = runner.give_up(&failed, event.tries, hand, &event.record) {
                    runner.link.fail(failure);
                    return;
                } else {
                    event.state = State::Done(false);
                }
            }
        }
    }
}

/// Returns true if an event before `index` that is not applied has the same key. Records without a
/// key never share one.
fn key_is_taken(begun: &VecDeque<Begun>, index: usize) -> bool {
    let Some(key) = begun[index].record.record().key else { return false };
    begun.iter().take(index).any(|earlier| earlier.record.record().key == Some(key))
}

/// Runs the first event while this agent holds the turn, so that nothing changes the rows that it
/// uses.
async fn alone<H: Handler>(runner: &Runner, handler: &H, event: &mut Begun) -> Result<(), ()> {
    loop {
        runner.turn().await;
        let at = event.record.record();
        let attempt = runner.attempt(handler, event.hand, &at, &event.record);
        let outcome = InHand { turn: runner.link.turn.clone(), hand: event.hand, future: Box::pin(attempt) }.await;
        runner.strand.release();
        event.tries += 1;
        match outcome {
            Ok(kept) => {
                event.state = State::Done(kept);
                return Ok(());
            }
            Err(failed) => {
                if let Some(wait) = runner.retry(&failed, event.tries) {
                    tokio::time::sleep(wait).await;
                } else if let Err(failure) = runner.give_up(&failed, event.tries, event.hand, &event.record) {
                    runner.link.fail(failure);
                    return Err(());
                } else {
                    event.state = State::Done(false);
                    return Ok(());
                }
            }
        }
    }
}

/// Applies the first event, and finishes its record.
fn finish(runner: &Runner, begun: &mut VecDeque<Begun>) {
    if let Some(event) = begun.pop_front() {
        runner.link.apply(event.hand, runner.number, &runner.participants);
        runner.link.turn.return_hand(event.hand);
        runner.input.finish(event.record.record().offset);
    }
}

fn start<H: Handler + 'static>(
    runner: &Rc<Runner>,
    handler: &Rc<H>,
    event: &Begun,
    wait: Option<std::time::Duration>,
) -> LocalBoxFuture<'static, (Hand, Result<bool, Failed>)> {
    let (runner, handler, record, hand) = (runner.clone(), handler.clone(), event.record.clone(), event.hand);
    let turn = runner.link.turn.clone();
    Box::pin(async move {
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        let attempt = async move { runner.attempt(&*handler, hand, &record.record(), &record).await };
        (hand, InHand { turn, hand, future: Box::pin(attempt) }.await)
    })
}

/// A handler's future that is polled with its event's hand as the current one.
struct InHand<'a, T> {
    turn: Rc<Turn>,
    hand: Hand,
    future: LocalBoxFuture<'a, T>,
}

impl<T> Future for InHand<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Self { turn, hand, future } = &mut *self;
        turn.within(*hand, || future.as_mut().poll(context))
    }
}
