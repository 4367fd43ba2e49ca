use super::counters::count;
use super::handler::Handler;
use super::runner::{ALONE, Runner};

/// Handles an input's events one at a time, in order, each with the turn in hand.
pub(crate) async fn serial<H: Handler>(runner: Runner, handler: H) {
    let Runner { link, input, counters, participants, .. } = &runner;
    loop {
        let holder = runner.turn().await;
        let mut left = holder.events;
        let mut record = input.peek(0);
        while let Some(at) = &mut record {
            let (offset, timestamp) = {
                let at = at.record();
                (at.offset, at.timestamp)
            };
            if left == 0 || timestamp > holder.until {
                break;
            }
            left -= 1;
            count(&counters.events);
            let mut tries = 0;
            loop {
                tries += 1;
                let failed = match runner.attempt(&handler, ALONE, at).await {
                    Ok(kept) => {
                        if kept {
                            count(&counters.handled);
                        }
                        break;
                    }
                    Err(failed) => failed,
                };
                if let Some(wait) = runner.retry(&failed, tries) {
                    // Others may go on meanwhile: of this event nothing is left.
                    link.turn.release();
                    tokio::time::sleep(wait).await;
                    runner.turn().await;
                } else if let Err(failure) = runner.give_up(&failed, tries, ALONE, at) {
                    link.turn.release();
                    link.fail(failure);
                    return;
                } else {
                    break;
                }
            }
            link.apply(ALONE, participants);
            input.finish(offset);
            at.index += 1;
            if at.index >= at.batch.len() {
                record = input.peek(0);
            }
        }
        link.turn.release();
    }
}
