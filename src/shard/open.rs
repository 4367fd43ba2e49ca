//! Opening a shard in a lane: creates its tables, agents, timers and strands.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::TopicPartition;
use marlowe_state::{PositionSlot, SliceIsolation, Store, TableIndex};

use super::committed_places::CommittedPlaces;
use super::id::ShardId;
use super::in_hand::ShardInHand;
use super::inputs::ShardInputs;
use super::open_shard::{Shard, ShardControl, ShardTable, TimerCounters};
use super::strand_task::{StrandTask, TaskTimer};
use super::strands::strands;
use super::task::ShardTask;
use crate::agent::{AnyAgent, OpenAgent, Opening};
use crate::program::Program;
use crate::query::Owner;
use crate::scope::{ShardScope, WorkerScope};
use crate::timer::AnyPartitionTimer;
use crate::topology::Topology;
use crate::turn::{Caution, Doer, LaneSignals, OutTopics, RecordQueue, ShardLink, Strand};
use crate::watch;

/// A shard that is ready to be opened in a lane. Its store is restored, and the positions of its
/// inputs are known.
pub(crate) struct ShardPlan {
    pub(crate) id: ShardId,
    pub(crate) owner: Owner,
    pub(crate) store: Arc<dyn Store>,
    /// The places at which its agents go on.
    pub(crate) inputs: ShardInputs,
    /// The caution with which it works, after a commit that failed because of an event.
    pub(crate) caution: Caution,
}

impl ShardPlan {
    /// Opens the shard with its tables, agents and timers.
    pub(crate) fn open(
        &self,
        program: &Program,
        topology: &Topology,
        worker: Arc<WorkerScope>,
        out_topics: Rc<RefCell<OutTopics>>,
        lane: Rc<LaneSignals>,
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
        let link = Rc::new(ShardLink::new(scope.turn.clone(), lane, self.caution.clone()));
        let control = Rc::new(ShardControl::default());

        let timers: Vec<_> =
            program.partition_timers.iter().filter(|timer| in_group(&timer.node().name, &group.timers)).collect();
        let of_agents = agents.iter().map(|agent| agent.node().edges.slices);
        let slices: Vec<_> = of_agents.chain(timers.iter().map(|timer| timer.node().edges.slices)).collect();
        let in_strand = strands(&slices.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut opened = OpenedStrands { in_strand: in_strand.into_iter(), tasks: Vec::new() };
        let shard_agents = self.open_agents(&agents, &scope, &link, &mut opened);
        let counters = self.open_timers(&timers, shard_agents.len(), &scope, &mut opened);
        let strand_tasks = opened.tasks;
        let tables = open_tables(program, &group.tables, &shard_agents, &scope);
        let slots = (0..group.tables.len() as u32).map(PositionSlot);
        let as_of = slots.map(|slot| self.store.position(slot).as_of).min();
        let participants = scope.participants();
        let clock = scope.worker.clock.clone();
        let in_hand = ShardInHand { id: self.id, strands: strand_tasks.iter().map(StrandTask::in_hand).collect() };
        let task = ShardTask::new(link.clone(), control.clone(), participants.clone(), strand_tasks, clock);
        let log = topology.places_log(group);
        let places_log = scope.out_topic(&log);
        let places = CommittedPlaces::open(log, self.id.partition, &self.inputs, &shard_agents);
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
            in_hand,
            committed: watch::Sender::new(()),
            as_of: Cell::new(as_of.unwrap_or_default()),
            committed_places: RefCell::new(places),
            places_log,
        };
        (Rc::new(shard), task)
    }

    /// Opens the agents, each in its strand.
    fn open_agents(
        &self,
        agents: &[&&'static dyn AnyAgent],
        scope: &ShardScope,
        link: &Rc<ShardLink>,
        opened: &mut OpenedStrands,
    ) -> Vec<Rc<OpenAgent>> {
        let mut open = Vec::new();
        for agent in agents {
            let node = agent.node();
            let source = TopicPartition { topic: node.reads.clone(), partition: self.id.partition };
            let input = Rc::new(RecordQueue::new(source, self.inputs.at(&node.reads, &node.name)));
            let task = opened.next(scope);
            let (who, strand, number) = (task.agents(), task.strand().clone(), Doer(open.len()));
            let running = agent.open(Opening { scope, who, number, strand, input, link: link.clone() });
            open.push(running.agent.clone());
            task.add_agent(running);
        }
        open
    }

    /// Opens the partition timers, each in its strand. Their numbers follow those of the `agents`.
    fn open_timers(
        &self,
        timers: &[&&'static dyn AnyPartitionTimer],
        agents: usize,
        scope: &ShardScope,
        opened: &mut OpenedStrands,
    ) -> Vec<Rc<TimerCounters>> {
        let mut counters = Vec::new();
        for (index, timer) in timers.iter().enumerate() {
            let open = timer.open(scope);
            let counter = Rc::new(TimerCounters {
                name: open.name.clone(),
                runs: Default::default(),
                failures: Default::default(),
            });
            counters.push(counter.clone());
            let mut timer = TaskTimer::new(open, Doer(agents + index), counter);
            if self.caution.timers.contains(&index) {
                timer.run_again();
            }
            opened.next(scope).add_timer(timer);
        }
        counters
    }
}

/// The strands of a shard, while its agents and timers are opened.
struct OpenedStrands {
    /// The strand of each agent, and then of each timer. A new strand has the next number.
    in_strand: std::vec::IntoIter<usize>,
    tasks: Vec<StrandTask>,
}

impl OpenedStrands {
    /// Returns the strand of the next agent or timer.
    fn next(&mut self, scope: &ShardScope) -> &mut StrandTask {
        let number = self.in_strand.next().unwrap_or(0);
        if number == self.tasks.len() {
            self.tasks.push(StrandTask::new(Rc::new(Strand::new(scope.turn.take_slot()))));
        }
        &mut self.tasks[number]
    }
}

/// Returns the tables of a group, by their `names`, as the lane sees them.
fn open_tables(program: &Program, names: &[Arc<str>], agents: &[Rc<OpenAgent>], scope: &ShardScope) -> Vec<ShardTable> {
    let table = |(index, name): (usize, &Arc<str>)| {
        let identity = program.table(name)?.identity();
        let inbox = agents.iter().find(|agent| agent.input.source.topic == identity.inbox);
        Some(ShardTable {
            name: name.clone(),
            index: TableIndex(index as u16),
            slot: PositionSlot(index as u32),
            changelog: scope.out_topic(&identity.changelog),
            inbox: inbox.map(|agent| agent.input.clone()),
        })
    };
    names.iter().enumerate().filter_map(table).collect()
}
