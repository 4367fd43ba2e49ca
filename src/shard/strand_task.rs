//! A strand at work: gives the turn to its agents and timers, one at a time.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{Clock, Partition, Timestamp};
use tokio::time::Instant;

use super::in_hand::{AgentInHand, StrandInHand};
use super::open_shard::TimerCounters;
use crate::HandlerError;
use crate::panics::panic_text;
use crate::timer::{OpenTimer, next_tick};
use crate::turn::{Doer, Holder, RecordQueue, ShardLink, Strand};

/// How many events an agent may handle before it gives the turn back.
const EVENTS_PER_TURN: u32 = 256;

/// Every so many turns, the agent that waited longest has it instead of the one whose event is oldest, so that a topic
/// with old events does not starve the others.
const FAIR_EVERY: u32 = 8;

/// A strand at work: gives its agents and timers the turn, one after the other.
///
/// Timers that are due go before agents, the one first that has been due longest. After a timer the agents have the turn for as
/// long as it took, at least once, unless they have nothing to do: so neither starves the other, whatever they take.
pub(super) struct StrandTask {
    strand: Rc<Strand>,
    agents: Vec<TaskAgent>,
    timers: Vec<TaskTimer>,
    turns: u32,
    last_served: usize,
    agents_first: AgentsFirst,
    /// Who has the turn waits for something that is not of this poll.
    waits: bool,
}

/// Whether agents go before timers that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentsFirst {
    No,
    /// A timer ran for so long: they go first now, and then for as long.
    For(Duration),
    /// They had a turn, and have more until then.
    Until(Instant),
}

pub(crate) struct TaskAgent {
    pub(crate) name: Arc<str>,
    pub(crate) input: Rc<RecordQueue>,
    /// Whether it would take the turn if it had something to do.
    pub(crate) asks: Rc<Cell<bool>>,
    /// How many events it has in hand without the turn.
    pub(crate) in_hand: Rc<Cell<usize>>,
    pub(crate) work: LocalBoxFuture<'static, ()>,
}

pub(crate) struct TaskTimer {
    timer: OpenTimer,
    /// Its number among the shard's agents and timers.
    number: Doer,
    counters: Rc<TimerCounters>,
    due: Instant,
    /// To be fired once more, whether it is due or not.
    once_more: bool,
    running: Option<Run>,
}

struct Run {
    since: Instant,
    work: LocalBoxFuture<'static, Result<(), HandlerError>>,
}

/// What came of letting a strand go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A turn was begun and ended.
    Turn,
    /// Who has the turn waits for something.
    Waits,
    /// Nobody would do anything.
    Idle,
}

/// What a strand may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    Begin,
    /// Only what has events in hand goes on: the shard is to close.
    Finish,
    /// Nothing: too much waits for a commit.
    Wait,
}

impl TaskTimer {
    pub(crate) fn new(timer: OpenTimer, number: Doer, counters: Rc<TimerCounters>) -> Self {
        let due = Instant::now() + timer.interval;
        Self { timer, number, counters, due, once_more: false, running: None }
    }

    /// Runs at once, because its last run was dropped.
    pub(crate) fn run_again(&mut self) {
        self.once_more = true;
    }

    fn finish_run(&mut self, now: Instant) {
        self.running = None;
        self.once_more = false;
        if self.due <= now {
            self.due = next_tick(self.due, self.timer.interval, now);
        }
        self.counters.runs.set(self.counters.runs.get() + 1);
    }

    fn fail(&self, partition: Partition, reason: &str) {
        self.counters.failures.set(self.counters.failures.get() + 1);
        tracing::error!(
            timer = %self.timer.name, %partition, "partition timer failed, nothing of it was applied: {reason}"
        );
    }
}

impl StrandTask {
    pub(super) fn new(strand: Rc<Strand>) -> Self {
        Self {
            strand,
            agents: Vec::new(),
            timers: Vec::new(),
            turns: 0,
            last_served: 0,
            agents_first: AgentsFirst::No,
            waits: false,
        }
    }

    pub(super) fn add_agent(&mut self, agent: TaskAgent) {
        self.agents.push(agent);
    }

    pub(super) fn add_timer(&mut self, timer: TaskTimer) {
        self.timers.push(timer);
    }

    /// What it has in hand, for threads other than the lane's.
    pub(super) fn in_hand(&self) -> StrandInHand {
        let agent = |agent: &TaskAgent| AgentInHand {
            name: agent.name.clone(),
            source: agent.input.source.clone(),
            front: agent.input.front().clone(),
        };
        StrandInHand {
            turn: self.strand.shown().clone(),
            agents: self.agents.iter().map(agent).collect(),
            timers: self.timers.iter().map(|timer| timer.timer.name.clone()).collect(),
        }
    }

    /// Who holds its turn.
    pub(super) fn strand(&self) -> &Rc<Strand> {
        &self.strand
    }

    /// The number that the next agent has here.
    pub(super) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Has every timer fire once more.
    pub(super) fn fire(&mut self) {
        self.timers.iter_mut().for_each(|timer| timer.once_more = true);
    }

    /// Whether all timers have fired that were to.
    pub(super) fn has_fired(&self) -> bool {
        !self.timers.iter().any(|timer| timer.once_more)
    }

    /// Whether an event is in hand, or a timer runs.
    pub(super) fn is_busy(&self) -> bool {
        self.strand.holder().is_some() || self.agents.iter().any(|agent| agent.in_hand.get() > 0)
    }

    /// When the next timer is due, if one could have the turn then.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.strand.holder().is_some() {
            return None;
        }
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// Gives the turn to the next if nobody has it, and lets who has it go on.
    pub(super) fn step(&mut self, may: May, link: &ShardLink, clock: &dyn Clock, context: &mut Context<'_>) -> Step {
        if self.waits {
            return Step::Waits;
        }
        if self.strand.holder().is_none() {
            if may == May::Wait {
                return Step::Idle;
            }
            let Some(next) = self.next_holder(Instant::now(), may) else { return Step::Idle };
            let events = link.quota_left().map_or(next.events, |left| left.min(next.events));
            let next = Holder { events, ..next };
            self.turns = self.turns.wrapping_add(1);
            self.strand.grant(next);
        }
        let Some(holder) = self.strand.holder() else { return Step::Idle };
        self.poll_holder(holder, link, clock, context);
        self.waits = self.strand.holder().is_some();
        if self.waits {
            return Step::Waits;
        }
        self.poll_others(link, context);
        Step::Turn
    }

    /// The next to have the turn: a timer that is due, or the agent whose next event is oldest.
    fn next_holder(&mut self, now: Instant, may: May) -> Option<Holder> {
        let stopping = may == May::Finish;
        let agent = self.next_agent(stopping);
        let timer = if stopping { None } else { self.next_timer(now) };
        let agents_first = match self.agents_first {
            AgentsFirst::No => false,
            AgentsFirst::For(_) => true,
            AgentsFirst::Until(until) => now < until,
        };
        match (agent, timer) {
            (Some(agent), Some(_)) if agents_first => Some(self.granted(agent, now)),
            (_, Some(timer)) => {
                Some(Holder { who: self.agents.len() + timer, events: 1, until: Timestamp::from_millis(i64::MAX) })
            }
            (Some(agent), None) => Some(self.granted(agent, now)),
            (None, None) => None,
        }
    }

    fn granted(&mut self, agent: Holder, now: Instant) -> Holder {
        self.last_served = agent.who;
        if let AgentsFirst::For(time) = self.agents_first {
            self.agents_first = AgentsFirst::Until(now + time);
        }
        agent
    }

    /// The timer that has been due longest; before it, one that is to fire once more.
    fn next_timer(&self, now: Instant) -> Option<usize> {
        let due = self.timers.iter().enumerate().filter(|(_, timer)| timer.once_more || timer.due <= now);
        due.min_by_key(|(_, timer)| (!timer.once_more, timer.due)).map(|(number, _)| number)
    }

    /// The agent whose event is oldest, or which has waited longest. When the shard is stopping, only one that has events in
    /// hand.
    fn next_agent(&self, stopping: bool) -> Option<Holder> {
        let agents = self.agents.len();
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
        Some(Holder { who: chosen.1, events: EVENTS_PER_TURN, until })
    }

    fn poll_holder(&mut self, holder: Holder, link: &ShardLink, clock: &dyn Clock, context: &mut Context<'_>) {
        let (turn, hand) = (&link.turn, self.strand.hand);
        if let Some(agent) = self.agents.get_mut(holder.who) {
            if turn.within(hand, || agent.work.as_mut().poll(context)).is_ready() {
                self.strand.release();
            }
            return;
        }
        let timer = &mut self.timers[holder.who - self.agents.len()];
        if timer.running.is_none()
            && let Some(condemned) = link.condemned(timer.number)
        {
            timer.fail(turn.partition(), &condemned.reason);
            timer.finish_run(Instant::now());
            self.strand.release();
            return;
        }
        let run = timer.running.get_or_insert_with(|| {
            turn.begin(hand, clock.now());
            let fire = AssertUnwindSafe((timer.timer.fire)()).catch_unwind();
            let work = Box::pin(async move { fire.await.unwrap_or_else(|panic| Err(panic_text(&*panic).into())) });
            Run { since: Instant::now(), work }
        });
        let Poll::Ready(ended) = turn.within(hand, || run.work.as_mut().poll(context)) else { return };
        let now = Instant::now();
        self.agents_first = AgentsFirst::For(now - run.since);
        timer.finish_run(now);
        let participants = &timer.timer.participants;
        let checked = ended.and_then(|()| link.check(hand, participants));
        match turn.take_failure(hand).map_or(checked, Err) {
            Ok(()) => {
                link.apply(hand, timer.number, participants);
                link.note_work(timer.number);
            }
            Err(error) => {
                link.discard(hand, participants);
                timer.fail(turn.partition(), &error.to_string());
            }
        }
        self.strand.release();
    }

    /// Lets all that it has look at what is new: who has the turn does with the next step.
    pub(super) fn wake(&mut self, link: &ShardLink, context: &mut Context<'_>) {
        self.waits = false;
        self.poll_others(link, context);
    }

    /// Lets those work that need no turn: concurrent handlers, and streams that wait for a batch to fill.
    fn poll_others(&mut self, link: &ShardLink, context: &mut Context<'_>) {
        // Whose failure it was has ended, and must not be asked again.
        if link.has_failed() {
            return;
        }
        let holder = self.strand.holder().map(|holder| holder.who);
        for (who, agent) in self.agents.iter_mut().enumerate() {
            if Some(who) != holder {
                // One that ended has told the link why.
                let _ = agent.work.as_mut().poll(context);
            }
        }
    }
}
