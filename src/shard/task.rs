//! [`ShardTask`]: the work of a shard, which its lane polls.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use marlowe_broker::Clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::open_shard::{ShardControl, uncommitted_bytes};
use super::strand_task::{May, StrandStep, StrandTask};
use crate::turn::{Participant, ShardLink};

/// The number of turns after which the other shards of the lane go on.
const TURNS_PER_POLL: u32 = 8;

/// The work of a shard. Lets its strands go on, one turn each, one after the other. It ends when it
/// is told to stop and nothing is in hand any more.
pub(crate) struct ShardTask {
    link: Rc<ShardLink>,
    control: Rc<ShardControl>,
    participants: Vec<Rc<dyn Participant>>,
    strands: Vec<StrandTask>,
    clock: Arc<dyn Clock>,
    /// Wakes the task for its next timer.
    alarm: Pin<Box<Sleep>>,
    /// Callers that wait until all timers have fired once more.
    firing: Vec<oneshot::Sender<()>>,
}

impl ShardTask {
    pub(super) fn new(
        link: Rc<ShardLink>,
        control: Rc<ShardControl>,
        participants: Vec<Rc<dyn Participant>>,
        strands: Vec<StrandTask>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let first = strands.iter().filter_map(StrandTask::next_due).min();
        let alarm = Box::pin(tokio::time::sleep_until(first.unwrap_or_else(far_away)));
        Self { link, control, participants, strands, clock, alarm, firing: Vec::new() }
    }

    /// Tells the lane that work has finished, and how much waits for a commit.
    fn tell_lane(&self) {
        self.link.tell_uncommitted(uncommitted_bytes(&self.participants, &self.link));
        self.link.tell_finished();
    }

    /// Returns the work that a strand may begin. Under a quota one strand goes on at a time, so
    /// that the number of events in a commit is exact.
    fn may(&self) -> May {
        let is_busy = || self.strands.iter().any(|strand| strand.strand().holder().is_some());
        if self.link.quota_left().is_some_and(|left| left == 0 || is_busy()) {
            May::Wait
        } else if self.link.closing.get() {
            May::Finish
        } else if self.control.paused.get() {
            May::Wait
        } else {
            May::Begin
        }
    }

    /// Sets the alarm to the time of the next timer.
    fn set_alarm(&mut self, context: &mut Context<'_>) {
        if let Some(due) = self.strands.iter().filter_map(StrandTask::next_due).min() {
            if self.alarm.deadline() != due {
                self.alarm.as_mut().reset(due);
            }
            if self.alarm.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
    }
}

fn far_away() -> Instant {
    Instant::now() + std::time::Duration::from_secs(60 * 60 * 24 * 365)
}

impl Future for ShardTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.link.set_waker(context.waker());
        this.link.tell_busy(false);
        let fire = this.control.fire.take();
        if !fire.is_empty() {
            this.strands.iter_mut().for_each(StrandTask::fire);
            this.firing.extend(fire);
        }
        let (mut turns, finished) = (0, this.link.finished.get());
        // Agents without the turn look once at what is new: records, or that they must stop.
        this.strands.iter_mut().for_each(|strand| strand.wake(&this.link, context));
        loop {
            let before = turns;
            for number in 0..this.strands.len() {
                if this.link.has_failed() {
                    // The lane drops the shard. What is in hand is not finished, so it is not
                    // committed.
                    return Poll::Pending;
                }
                let may = this.may();
                if this.strands[number].step(may, &this.link, &*this.clock, context) == StrandStep::Turn {
                    turns += 1;
                }
            }
            if this.link.has_failed() {
                return Poll::Pending;
            }
            if !this.firing.is_empty() && this.strands.iter().all(StrandTask::has_fired) {
                // The caller may be gone.
                for asked in this.firing.drain(..) {
                    let _ = asked.send(());
                }
            }
            if this.link.closing.get() && !this.strands.iter().any(StrandTask::is_busy) {
                return Poll::Ready(());
            }
            if turns == before {
                break;
            }
            if turns >= TURNS_PER_POLL {
                this.tell_lane();
                this.link.wake();
                return Poll::Pending;
            }
        }
        // Also if a turn that was granted in an earlier poll has ended.
        if turns > 0 || this.link.finished.get() != finished {
            this.tell_lane();
        }
        // A timer that is due while it cannot run has the next turn after that. Whatever ends the
        // wait also wakes the shard.
        if this.may() == May::Begin {
            this.set_alarm(context);
        }
        Poll::Pending
    }
}
