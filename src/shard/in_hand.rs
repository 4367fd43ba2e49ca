//! The events and timer runs that a shard has in hand, for other threads. The watchdog reads them.

use std::sync::Arc;

use marlowe_broker::TopicPartition;

use super::id::ShardId;
use crate::turn::{EventInHand, Front, Runnable, TurnShown};

/// A shard's events and timer runs in hand, as threads other than its lane's see them.
#[derive(Clone)]
pub(crate) struct ShardInHand {
    pub(crate) id: ShardId,
    pub(crate) strands: Vec<StrandInHand>,
}

/// A strand's events and timer runs in hand.
#[derive(Clone)]
pub(crate) struct StrandInHand {
    pub(super) turn: Arc<TurnShown>,
    /// The agents, in the order of their numbers in the strand.
    pub(super) agents: Vec<AgentInHand>,
    /// The names of the timers, in the order of their numbers in the strand.
    pub(super) timers: Vec<Arc<str>>,
}

#[derive(Clone)]
pub(super) struct AgentInHand {
    pub(super) name: Arc<str>,
    pub(super) source: TopicPartition,
    pub(super) front: Arc<Front>,
}

/// An event or run that is in hand. The numbers stay the same as long as it is the same event or
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) who: Runnable,
    pub(crate) turn: u64,
    pub(crate) progress: u64,
}

/// An event or run in hand, as it is shown to people.
pub(crate) enum HeldBy {
    Agent { name: Arc<str>, source: TopicPartition, event: Option<EventInHand> },
    Timer(Arc<str>),
}

impl StrandInHand {
    /// Returns what is in hand now: the holder of the turn, and the agents that handle events
    /// concurrently.
    pub(crate) fn held(&self) -> Vec<Held> {
        let turn = self.turn.holder().map(|(turn, who)| {
            let agent = if let Runnable::Agent(number) = who { self.agents.get(number) } else { None };
            Held { who, turn, progress: agent.map_or(0, |agent| agent.front.progress()) }
        });
        let holds = turn.as_ref().map(|held| held.who);
        let agents = self.agents.iter().enumerate().map(|(number, agent)| (Runnable::Agent(number), agent));
        let beside = agents.filter(|(who, agent)| agent.front.begun() > 0 && Some(*who) != holds);
        let beside = beside.map(|(who, agent)| Held { who, turn: 0, progress: agent.front.progress() });
        turn.into_iter().chain(beside).collect()
    }

    /// Describes an agent or timer, and what it has in hand.
    pub(crate) fn describe(&self, who: Runnable) -> Option<HeldBy> {
        match who {
            Runnable::Agent(number) => {
                let AgentInHand { name, source, front } = self.agents.get(number)?;
                Some(HeldBy::Agent { name: name.clone(), source: source.clone(), event: front.event() })
            }
            Runnable::Timer(number) => self.timers.get(number).cloned().map(HeldBy::Timer),
        }
    }
}
