use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{Clock, Timestamp};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::{Control, TimerCounters, uncommitted_bytes};
use crate::HandlerError;
use crate::agent::{ALONE, Input, ShardLink, panic_text};
use crate::timer::{OpenTimer, next_tick};
use crate::turn::{Holder, Participant};

/// How many events an agent may handle before it gives the turn back.
const EVENTS_PER_TURN: u32 = 256;

/// How many turns are given before the other shards of the lane go on.
const TURNS_PER_POLL: u32 = 8;

/// Every so many turns, the agent that waited longest has it instead of the one whose event is oldest, so that a topic
/// with old events does not starve the others.
const FAIR_EVERY: u32 = 8;

/// A shard at work: gives its agents and timers the turn, one after the other, the oldest event first. It ends when it is told
/// to stop and nothing is in hand any more.
pub(crate) struct ShardTask {
    link: Rc<ShardLink>,
    control: Rc<Control>,
    participants: Vec<Rc<dyn Participant>>,
    agents: Vec<TaskAgent>,
    timers: Vec<TaskTimer>,
    clock: Arc<dyn Clock>,
    /// Wakes the task for its next timer.
    alarm: Pin<Box<Sleep>>,
    turns: u32,
    last_served: usize,
    /// Who waits for all timers to have fired once more.
    firing: Vec<oneshot::Sender<()>>,
}

pub(crate) struct TaskAgent {
    pub(crate) input: Rc<Input>,
    /// Whether it would take the turn if it had something to do.
    pub(crate) asks: Rc<Cell<bool>>,
    /// How many events it has in hand without the turn.
    pub(crate) in_hand: Rc<Cell<usize>>,
    pub(crate) work: LocalBoxFuture<'static, ()>,
}

pub(crate) struct TaskTimer {
    timer: OpenTimer,
    counters: Rc<TimerCounters>,
    due: Instant,
    /// To be fired once more, whether it is due or not.
    once_more: bool,
    running: Option<LocalBoxFuture<'static, Result<(), HandlerError>>>,
}

impl TaskTimer {
    pub(crate) fn new(timer: OpenTimer, counters: Rc<TimerCounters>) -> Self {
        let due = Instant::now() + timer.interval;
        Self { timer, counters, due, once_more: false, running: None }
    }
}

impl ShardTask {
    pub(super) fn new(
        link: Rc<ShardLink>,
        control: Rc<Control>,
        participants: Vec<Rc<dyn Participant>>,
        agents: Vec<TaskAgent>,
        timers: Vec<TaskTimer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let first = timers.iter().map(|timer| timer.due).min();
        let alarm = Box::pin(tokio::time::sleep_until(first.unwrap_or_else(far_away)));
        Self { link, control, participants, agents, timers, clock, alarm, turns: 0, last_served: 0, firing: Vec::new() }
    }

    /// The next to have the turn: a timer that is due, or the agent whose next event is oldest. When the shard is stopping, only one
    /// that has events in hand.
    fn next_holder(&mut self, now: Instant, stopping: bool) -> Option<Holder> {
        let agents = self.agents.len();
        if !stopping && let Some(timer) = self.timers.iter().position(|timer| timer.once_more || timer.due <= now) {
            return Some(Holder { who: agents + timer, events: 1, until: Timestamp::from_millis(i64::MAX) });
        }
        let waiting = || {
            self.agents.iter().enumerate().filter_map(|(who, agent)| {
                // One that handles events concurrently asks for the turn with an event in hand.
                let has_begun = agent.in_hand.get() > 0;
                if !agent.asks.get() || (stopping && !has_begun) {
                    return None;
                }
                let next = agent.input.next_timestamp().or(has_begun.then_some(Timestamp::default()));
                next.map(|timestamp| (timestamp, who))
            })
        };
        let fair = self.turns % FAIR_EVERY == FAIR_EVERY - 1;
        let chosen = if fair {
            let after = |who: usize| (who + agents - self.last_served - 1) % agents;
            waiting().min_by_key(|(_, who)| after(*who))?
        } else {
            waiting().min()?
        };
        let others = waiting().filter(|(_, who)| *who != chosen.1).map(|(timestamp, _)| timestamp).min();
        let until = match others {
            // The one that has waited longest gets at least one event.
            Some(other) => other.max(chosen.0),
            None => Timestamp::from_millis(i64::MAX),
        };
        self.last_served = chosen.1;
        Some(Holder { who: chosen.1, events: EVENTS_PER_TURN, until })
    }

    fn poll_holder(&mut self, holder: Holder, context: &mut Context<'_>) {
        let turn = self.link.turn.clone();
        if let Some(agent) = self.agents.get_mut(holder.who) {
            if turn.within(ALONE, || agent.work.as_mut().poll(context)).is_ready() {
                turn.release();
            }
            return;
        }
        let timer = &mut self.timers[holder.who - self.agents.len()];
        if timer.running.is_none() {
            turn.begin(ALONE, self.clock.now());
            let fire = AssertUnwindSafe((timer.timer.fire)()).catch_unwind();
            timer.running =
                Some(Box::pin(async move { fire.await.unwrap_or_else(|panic| Err(panic_text(&*panic).into())) }));
        }
        let Some(running) = &mut timer.running else { return };
        let Poll::Ready(ended) = turn.within(ALONE, || running.as_mut().poll(context)) else { return };
        timer.running = None;
        timer.once_more = false;
        let now = Instant::now();
        if timer.due <= now {
            timer.due = next_tick(timer.due, timer.timer.interval, now);
        }
        timer.counters.runs.set(timer.counters.runs.get() + 1);
        let participants = &timer.timer.participants;
        match turn.take_failure(ALONE).map_or(ended, Err) {
            Ok(()) => self.link.apply(ALONE, participants),
            Err(error) => {
                self.link.discard(ALONE, participants);
                timer.counters.failures.set(timer.counters.failures.get() + 1);
                tracing::error!(
                    timer = %timer.timer.name, partition = %turn.partition(),
                    "partition timer failed, nothing of it was applied: {error}"
                );
            }
        }
        turn.release();
    }

    /// Lets those work that need no turn: concurrent handlers, and streams that wait for a batch to fill.
    fn poll_others(&mut self, context: &mut Context<'_>) {
        // Whose failure it was has ended, and must not be asked again.
        if self.link.has_failed() {
            return;
        }
        let holder = self.link.turn.holder().map(|holder| holder.who);
        for (who, agent) in self.agents.iter_mut().enumerate() {
            if Some(who) != holder {
                // One that ended has told the link why.
                let _ = agent.work.as_mut().poll(context);
            }
        }
    }

    /// Its queues may be short enough to be read on, and much may wait for a commit.
    fn tell_lane(&self) {
        self.link.tell_uncommitted(uncommitted_bytes(&self.participants, &self.link));
        self.link.wake_lane();
    }

    /// Sets the alarm to the next timer.
    fn set_alarm(&mut self, context: &mut Context<'_>) {
        if let Some(due) = self.timers.iter().map(|timer| timer.due).min() {
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
        let fire = this.control.fire.take();
        if !fire.is_empty() {
            this.timers.iter_mut().for_each(|timer| timer.once_more = true);
            this.firing.extend(fire);
        }
        let (mut turns, finished) = (0, this.link.finished.get());
        // Those without the turn see once what is new: records, or that they are to stop.
        this.poll_others(context);
        loop {
            if this.link.has_failed() {
                // The lane drops the shard; what is in hand is not finished and so not committed.
                return Poll::Pending;
            }
            if let Some(holder) = this.link.turn.holder() {
                this.poll_holder(holder, context);
                if this.link.turn.holder().is_some() {
                    // It waits for something.
                    break;
                }
                this.poll_others(context);
                if turns >= TURNS_PER_POLL {
                    this.tell_lane();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            if !this.firing.is_empty() && !this.timers.iter().any(|timer| timer.once_more) {
                // Whoever asked may be gone.
                for asked in this.firing.drain(..) {
                    let _ = asked.send(());
                }
            }
            let stopping = this.link.closing.get();
            let in_hand = this.agents.iter().any(|agent| agent.in_hand.get() > 0);
            if stopping && !in_hand {
                return Poll::Ready(());
            }
            if this.control.paused.get() && !stopping {
                break;
            }
            let Some(next) = this.next_holder(Instant::now(), stopping) else { break };
            turns += 1;
            this.turns = this.turns.wrapping_add(1);
            this.link.turn.grant(next);
        }
        // Also when a turn that was given before went on.
        if turns > 0 || this.link.finished.get() != finished {
            this.tell_lane();
        }
        // A timer that is due while it cannot run has the next turn after that; what ends it wakes the shard.
        let may_run = this.link.turn.holder().is_none() && !this.control.paused.get() && !this.link.closing.get();
        if may_run {
            this.set_alarm(context);
        }
        Poll::Pending
    }
}
