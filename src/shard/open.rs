use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};
use marlowe_state::{PositionSlot, SliceIsolation, Store, TableIndex};

use super::positions::InputPositions;
use super::task::{TaskAgent, TaskTimer};
use super::{Control, Shard, ShardAgent, ShardId, ShardTable, ShardTask, TimerCounters};
use crate::agent::{AnyAgent, Input, LaneNews, Opening, ShardLink};
use crate::program::Program;
use crate::scope::{ShardScope, WorkerScope};
use crate::table::Owner;
use crate::topology::Topology;
use crate::turn::OutTopics;
use crate::watch;

/// A shard that is ready to be opened in a lane: its store is restored, and its inputs' positions are known.
pub(crate) struct ShardPlan {
    pub(crate) id: ShardId,
    pub(crate) owner: Owner,
    pub(crate) store: Arc<dyn Store>,
    /// The group's committed positions in the shard's inputs, and where each input starts.
    pub(crate) inputs: BTreeMap<Arc<str>, InputStart>,
}

/// Where the agents of one input partition go on.
#[derive(Clone, Debug)]
pub(crate) struct InputStart {
    pub(crate) committed: Option<CommittedOffset>,
    /// The first record there.
    pub(crate) earliest: Offset,
}

impl ShardPlan {
    /// Opens the shard: its tables, agents and timers.
    pub(crate) fn open(
        &self,
        program: &Program,
        topology: &Topology,
        worker: Arc<WorkerScope>,
        out_topics: Rc<RefCell<OutTopics>>,
        lane: Rc<LaneNews>,
    ) -> (Rc<Shard>, ShardTask) {
        let group = &topology.groups[self.id.group];
        let in_group = |name: &Arc<str>, of: &[Arc<str>]| of.contains(name);
        let agents: Vec<&&'static dyn AnyAgent> =
            program.agents.iter().filter(|agent| in_group(&agent.node().name, &group.agents)).collect();
        let isolation = if agents.iter().any(|agent| agent.node().concurrency > 1) {
            SliceIsolation::Optimistic
        } else {
            SliceIsolation::Serial
        };
        let scope = ShardScope::new(
            self.id.partition,
            group.partitions,
            self.store.clone(),
            group.tables.clone(),
            isolation,
            out_topics,
            worker,
        );
        let link = Rc::new(ShardLink::new(scope.turn.clone(), lane));
        let control = Rc::new(Control::default());

        let mut shard_agents = Vec::new();
        let mut task_agents = Vec::new();
        for (who, agent) in agents.into_iter().enumerate() {
            let node = agent.node();
            let source = TopicPartition { topic: node.reads.clone(), partition: self.id.partition };
            let start = self.inputs.get(&node.reads);
            let positions = InputPositions::parse(start.and_then(|start| start.committed.as_ref()));
            let earliest = start.map_or(Offset::ZERO, |start| start.earliest);
            let input = Rc::new(Input::new(source, positions.of(&node.name, earliest)));
            let open = agent.open(Opening { scope: &scope, who, input: input.clone(), link: link.clone() });
            shard_agents.push(ShardAgent { name: open.name, input, counters: open.counters });
            task_agents.push(TaskAgent { input: open.input, asks: open.asks, in_hand: open.in_hand, work: open.work });
        }
        let mut timers = Vec::new();
        let mut counters = Vec::new();
        for timer in program.partition_timers.iter().filter(|timer| in_group(&timer.node().name, &group.timers)) {
            let open = timer.open(&scope);
            let counter = Rc::new(TimerCounters {
                name: open.name.clone(),
                runs: Default::default(),
                failures: Default::default(),
            });
            counters.push(counter.clone());
            timers.push(TaskTimer::new(open, counter));
        }
        let tables = group
            .tables
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                let table = program.table(name)?;
                let identity = table.identity();
                let inbox = shard_agents.iter().find(|agent| agent.input.source.topic == identity.inbox);
                Some(ShardTable {
                    name: name.clone(),
                    index: TableIndex(index as u16),
                    slot: PositionSlot(index as u32),
                    changelog: scope.out_topic(&identity.changelog),
                    inbox: inbox.map(|agent| agent.input.clone()),
                })
            })
            .collect();
        let participants = scope.participants();
        let clock = scope.worker.clock.clone();
        let task = ShardTask::new(link.clone(), control.clone(), participants.clone(), task_agents, timers, clock);
        let shard = Shard {
            id: self.id,
            link,
            store: self.store.clone(),
            participants,
            agents: shard_agents,
            tables,
            timers: counters,
            owner: self.owner.clone(),
            control,
            committed: watch::Sender::new(()),
            positions: RefCell::default(),
        };
        // What is committed already need not be committed again.
        *shard.positions.borrow_mut() = self
            .inputs
            .iter()
            .filter_map(|(topic, start)| {
                let source = TopicPartition { topic: topic.clone(), partition: self.id.partition };
                Some((source, start.committed.clone()?))
            })
            .collect();
        (Rc::new(shard), task)
    }
}
