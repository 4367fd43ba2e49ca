//! The work of a strand: grants the turn to its agents and timers, one at a time.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{Clock, Partition, Timestamp};
use tokio::time::Instant;

use super::in_hand::{AgentInHand, StrandInHand};
use super::open_shard::TimerCounters;
use crate::HandlerError;
use crate::agent::RunningAgent;
use crate::panics::panic_text;
use crate::timer::{OpenTimer, next_tick};
use crate::turn::{Doer, Holder, Runnable, ShardLink, Strand};

/// The most events that an agent may handle in one turn.
const EVENTS_PER_TURN: u32 = 256;

/// The interval of fair turns: one turn in this many goes to the agent that has waited longest, and
/// not to the agent with the oldest event. So a topic with old events does not starve the others.
const FAIR_EVERY: u32 = 8;

/// A strand's agents and timers, and the order in which they have the turn.
///
/// Timers that are due go before agents. The timer that has been due longest is the first. After a
/// timer, agents go first for as long as the timer took, and for at least one turn, unless they
/// have nothing to do. So neither starves the other, however long a timer or a turn takes.
pub(super) struct StrandTask {
    strand: Rc<Strand>,
    agents: Vec<RunningAgent>,
    timers: Vec<TaskTimer>,
    turns: u32,
    last_served: usize,
    agents_first: AgentsFirst,
    /// True if the holder of the turn waits for something that cannot happen in this poll.
    waits: bool,
}

/// The precedence of agents over timers that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentsFirst {
    No,
    /// A timer ran for this long. Agents go first for their next turn, and then for the same time.
    For(Duration),
    /// Agents have had that turn, and go first until this time.
    Until(Instant),
}

pub(crate) struct TaskTimer {
    timer: OpenTimer,
    /// The timer's number among the shard's agents and timers.
    number: Doer,
    counters: Rc<TimerCounters>,
    due: Instant,
    /// True if the timer must fire once more, whether or not it is due.
    once_more: bool,
    running: Option<Run>,
}

struct Run {
    since: Instant,
    work: LocalBoxFuture<'static, Result<(), HandlerError>>,
}

/// The result of a step of a strand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StrandStep {
    /// A turn has ended.
    Turn,
    /// The holder of the turn waits for something.
    Waits,
    /// No agent or timer has anything to do.
    Idle,
}

/// The work that a strand may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    Begin,
    /// Only agents with events in hand go on, because the shard must close.
    Finish,
    /// Nothing, because too much waits for a commit.
    Wait,
}

impl TaskTimer {
    pub(crate) fn new(timer: OpenTimer, number: Doer, counters: Rc<TimerCounters>) -> Self {
        let due = Instant::now() + timer.interval;
        Self { timer, number, counters, due, once_more: false, running: None }
    }

    /// Makes the timer run at once, because its last run was dropped.
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

    pub(super) fn add_agent(&mut self, agent: RunningAgent) {
        self.agents.push(agent);
    }

    pub(super) fn add_timer(&mut self, timer: TaskTimer) {
        self.timers.push(timer);
    }

    /// Returns the events and runs that the strand has in hand, for threads other than the lane's.
    pub(super) fn in_hand(&self) -> StrandInHand {
        let agent = |RunningAgent { agent, .. }: &RunningAgent| AgentInHand {
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

    /// Returns the strand, which knows the holder of the turn.
    pub(super) fn strand(&self) -> &Rc<Strand> {
        &self.strand
    }

    /// Returns the number of agents, which is the number that the next agent gets.
    pub(super) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Makes every timer fire once more.
    pub(super) fn fire(&mut self) {
        self.timers.iter_mut().for_each(|timer| timer.once_more = true);
    }

    /// Returns true if all timers have fired that had to fire once more.
    pub(super) fn has_fired(&self) -> bool {
        !self.timers.iter().any(|timer| timer.once_more)
    }

    /// Returns true if an event is in hand or a timer runs.
    pub(super) fn is_busy(&self) -> bool {
        self.strand.holder().is_some() || self.agents.iter().any(|running| running.agent.in_hand.get() > 0)
    }

    /// Returns the time when the next timer is due. `None` while the turn is taken, because no
    /// timer could have it.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.strand.holder().is_some() {
            return None;
        }
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// Grants the turn if it is free, and polls the holder of the turn.
    pub(super) fn step(
        &mut self,
        may: May,
        link: &ShardLink,
        clock: &dyn Clock,
        context: &mut Context<'_>,
    ) -> StrandStep {
        if self.waits {
            return StrandStep::Waits;
        }
        if self.strand.holder().is_none() {
            if may == May::Wait {
                return StrandStep::Idle;
            }
            let Some(next) = self.next_holder(Instant::now(), may) else { return StrandStep::Idle };
            let events = link.quota_left().map_or(next.events, |left| left.min(next.events));
            let next = Holder { events, ..next };
            self.turns = self.turns.wrapping_add(1);
            self.strand.grant(next);
        }
        let Some(holder) = self.strand.holder() else { return StrandStep::Idle };
        self.poll_holder(holder, link, clock, context);
        self.waits = self.strand.holder().is_some();
        if self.waits {
            return StrandStep::Waits;
        }
        self.poll_others(link, context);
        StrandStep::Turn
    }

    /// Chooses the next holder of the turn: a timer that is due, or the agent with the oldest
    /// event.
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
                Some(Holder { who: Runnable::Timer(timer), events: 1, until: Timestamp::from_millis(i64::MAX) })
            }
            (Some(agent), None) => Some(self.granted(agent, now)),
            (None, None) => None,
        }
    }

    fn granted(&mut self, agent: Holder, now: Instant) -> Holder {
        if let Runnable::Agent(number) = agent.who {
            self.last_served = number;
        }
        if let AgentsFirst::For(time) = self.agents_first {
            self.agents_first = AgentsFirst::Until(now + time);
        }
        agent
    }

    /// Chooses the timer that has been due longest. A timer that must fire once more goes before
    /// it.
    fn next_timer(&self, now: Instant) -> Option<usize> {
        let due = self.timers.iter().enumerate().filter(|(_, timer)| timer.once_more || timer.due <= now);
        due.min_by_key(|(_, timer)| (!timer.once_more, timer.due)).map(|(number, _)| number)
    }

    /// Chooses the agent with the oldest event, or the one that has waited longest. If `stopping`,
    /// only agents with events in hand are considered.
    fn next_agent(&self, stopping: bool) -> Option<Holder> {
        let agents = self.agents.len();
        let waiting = || {
            self.agents.iter().enumerate().filter_map(|(who, RunningAgent { agent, .. })| {
                // An agent that handles events concurrently asks for the turn while it has events
                // in hand.
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
            // The agent that has waited longest gets at least one event.
            Some(other) => other.max(chosen.0),
            None => Timestamp::from_millis(i64::MAX),
        };
        Some(Holder { who: Runnable::Agent(chosen.1), events: EVENTS_PER_TURN, until })
    }

    fn poll_holder(&mut self, holder: Holder, link: &ShardLink, clock: &dyn Clock, context: &mut Context<'_>) {
        let (turn, txn) = (&link.turn, self.strand.txn);
        let timer = match holder.who {
            Runnable::Agent(number) => {
                let work = &mut self.agents[number].work;
                if turn.within(txn, || work.as_mut().poll(context)).is_ready() {
                    self.strand.release();
                }
                return;
            }
            Runnable::Timer(number) => &mut self.timers[number],
        };
        if timer.running.is_none()
            && let Some(condemned) = link.condemned(timer.number)
        {
            timer.fail(turn.partition(), &condemned.reason);
            timer.finish_run(Instant::now());
            self.strand.release();
            return;
        }
        let run = timer.running.get_or_insert_with(|| {
            turn.begin(txn, clock.now());
            let fire = AssertUnwindSafe((timer.timer.fire)()).catch_unwind();
            let work = Box::pin(async move { fire.await.unwrap_or_else(|panic| Err(panic_text(&*panic).into())) });
            Run { since: Instant::now(), work }
        });
        let Poll::Ready(ended) = turn.within(txn, || run.work.as_mut().poll(context)) else { return };
        let now = Instant::now();
        self.agents_first = AgentsFirst::For(now - run.since);
        timer.finish_run(now);
        let participants = &timer.timer.participants;
        let checked = ended.and_then(|()| link.check(txn, participants));
        match turn.take_failure(txn).map_or(checked, Err) {
            Ok(()) => {
                link.apply(txn, timer.number, participants);
                link.note_work(timer.number);
            }
            Err(error) => {
                link.discard(txn, participants);
                timer.fail(turn.partition(), &error.to_string());
            }
        }
        self.strand.release();
    }

    /// Polls all agents without the turn, because something is new. The holder of the turn is
    /// polled in the next step.
    pub(super) fn wake(&mut self, link: &ShardLink, context: &mut Context<'_>) {
        self.waits = false;
        self.poll_others(link, context);
    }

    /// Polls the agents that work without the turn: concurrent handlers, and streams that wait for
    /// a batch to fill.
    fn poll_others(&mut self, link: &ShardLink, context: &mut Context<'_>) {
        // The future of the failed agent has ended and must not be polled again.
        if link.has_failed() {
            return;
        }
        let holder = self.strand.holder().map(|holder| holder.who);
        for (number, running) in self.agents.iter_mut().enumerate() {
            if Some(Runnable::Agent(number)) != holder {
                // An agent whose future has ended has told the link why.
                let _ = running.work.as_mut().poll(context);
            }
        }
    }
}
