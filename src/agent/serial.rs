//! The loop of an agent that handles one event at a time.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::handler::Handler;
use super::open::OpenAgent;
use super::runner::{Failed, Passed, Runner};
use crate::error::EventFailure;
use crate::turn::{Cursor, count};

/// Handles an input's events one at a time and in order. The agent holds the turn while it handles
/// them.
pub(crate) async fn serial<H: Handler>(runner: Runner, handler: H) {
    let Runner { agent, link, strand, participants, .. } = &runner;
    let OpenAgent { input, counters, .. } = &**agent;
    let txn = strand.txn;
    let replies = handler.replies();
    loop {
        let holder = runner.turn().await;
        let mut left = holder.events;
        while let Some(mut record) = input.peek(0) {
            // Goes through the batch by index, because the input's bookkeeping is then needed per
            // batch and not per record.
            let batch = record.batch.clone();
            let end = batch.len();
            let get = |index| (index < end).then(|| batch.get(index));
            let mut next = get(record.index);
            while left > 0
                && let Some(at) = next.take()
            {
                if at.timestamp > holder.until {
                    left = 0;
                    break;
                }
                left -= 1;
                count(&counters.events);
                // Lets the tables load the row of the next event's key into memory while this event
                // is handled.
                next = get(record.index + 1);
                if let Some(key) = next.as_ref().and_then(|next| next.key) {
                    participants.iter().for_each(|participant| participant.expect(key));
                }
                let concluded = match runner.condemned() {
                    Some(failed) => Err(failed),
                    None => {
                        link.turn.begin(txn, at.timestamp);
                        let outcome = AssertUnwindSafe(handler.handle(&at, &record)).catch_unwind().await;
                        // Fast path: most events succeed and send nothing, so the outcome is
                        // checked in place and not moved.
                        let plain = matches!(outcome, Ok(Ok(Some(_))))
                            && !link.turn.is_marked()
                            && !link.is_cautious()
                            && !replies;
                        if plain { Ok(Passed::Handled) } else { runner.conclude(&handler, txn, &record, outcome) }
                    }
                };
                match concluded {
                    Ok(Passed::Handled) => count(&counters.handled),
                    Ok(Passed::Dropped) => {}
                    Err(failed) => {
                        if let Err(failure) = again(&runner, &handler, failed, &record).await {
                            strand.release();
                            link.fail(failure);
                            return;
                        }
                    }
                }
                link.apply(txn, runner.number, participants);
                input.finish(at.offset);
                record.index += 1;
            }
            if left == 0 {
                break;
            }
        }
        strand.release();
    }
}

/// Tries a failed event again, as its policy says. With `Ok` the event is finished: it was handled,
/// skipped or sent to a dead-letter topic.
async fn again<H: Handler>(
    runner: &Runner,
    handler: &H,
    mut failed: Failed,
    record: &Cursor,
) -> Result<(), EventFailure> {
    let mut tries = 1;
    while let Some(wait) = runner.retry(&failed, tries) {
        // The failed attempt left nothing behind, so others may have the turn during the wait.
        runner.strand.release();
        tokio::time::sleep(wait).await;
        runner.turn().await;
        tries += 1;
        match runner.attempt(handler, runner.strand.txn, &record.record(), record).await {
            Ok(passed) => {
                if passed == Passed::Handled {
                    count(&runner.agent.counters.handled);
                }
                return Ok(());
            }
            Err(again) => failed = again,
        }
    }
    runner.give_up(&failed, tries, runner.strand.txn, record)
}
