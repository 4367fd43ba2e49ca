//! The event loop of a lane: it opens and closes shards, hands records to them, and looks after
//! those that fail. Commits are in `committing`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use marlowe_broker::{BrokerError, Fetched, Isolation, Source};
use marlowe_state::Rows;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::command::{LaneCommand, LaneEvent};
use super::commit::Commit;
use super::commit_pace::CommitPace;
use super::input_reader::InputReader;
use super::outputs::Outputs;
use super::pending_closes::Closings;
use super::pending_firings::Firings;
use super::producer::{LaneProducer, OpenProducers, Reopening};
use super::settings::LaneSettings;
use crate::error::RunError;
use crate::query::{CommittedSlice, Published};
use crate::restore::close;
use crate::shard::{Expired, Shard, ShardId, ShardPlan};
use crate::turn::{Fault, LaneSignals, OutTopics};

/// A lane: the shards of one thread, which commit together.
pub(crate) struct Lane {
    pub(super) settings: LaneSettings,
    pub(super) feeds: InputReader,
    pub(super) producer: LaneProducer,
    pub(super) outputs: Outputs,
    pub(super) out_topics: Rc<RefCell<OutTopics>>,
    pub(super) shards: BTreeMap<ShardId, LaneShard>,
    pub(super) news: Rc<LaneSignals>,
    /// Set while too much waits for a commit. The shards then begin no new events.
    pub(super) paused: bool,
    pub(super) committing: Option<Commit>,
    /// A new producer that is being opened. Nothing is committed until it is there.
    pub(super) reopening: Option<Reopening>,
    /// Shards that commit alone, because the broker refused a record of a commit that they had a
    /// part in.
    pub(super) suspects: BTreeSet<ShardId>,
    pub(super) pace: CommitPace,
    /// When the lane last looked at all its shards, to find out what there is to commit.
    pub(super) looked: Instant,
    pub(super) spare: Vec<Rows>,
    pub(super) firings: Firings,
    pub(super) closings: Closings,
    /// The callers that wait for shards to be open whose agents' first places must be committed
    /// before that. `committing_first` holds those whose places are in the commit under way, and
    /// `opening` the others.
    pub(super) opening: Vec<oneshot::Sender<()>>,
    pub(super) committing_first: Vec<oneshot::Sender<()>>,
}

pub(super) struct LaneShard {
    pub(super) shard: Rc<Shard>,
    pub(super) task: JoinHandle<()>,
    /// Ends when the task ends.
    pub(super) ended: Option<oneshot::Receiver<()>>,
    pub(super) sources: Vec<Source>,
}

/// The fault of a failed commit, and the shards it belongs to.
pub(super) enum FaultOf {
    One(ShardId, Fault),
    All(Fault),
    /// A record that left before its commit was refused. Shards that commit alone sent none.
    Leaving(Fault),
}

impl FaultOf {
    /// Returns the fault of a shard.
    pub(super) fn of(&self, shard: &Shard) -> &Fault {
        match self {
            Self::One(at, fault) if *at == shard.id => fault,
            Self::All(fault) => fault,
            Self::Leaving(fault) if !shard.link.commits_alone() => fault,
            Self::One(..) | Self::Leaving(_) => &Fault::Elsewhere,
        }
    }
}

/// A reason for the loop to make another round.
enum Wake {
    Command(Option<LaneCommand>),
    Fetched(Result<Vec<Fetched>, BrokerError>),
    Committed,
    Flushed,
    Reopened,
    Leave,
    Tick,
    Noticed,
    Fired,
    Finished,
}

impl Lane {
    pub(crate) async fn open(settings: LaneSettings) -> Result<Self, RunError> {
        let failed = || RunError::broker(format!("lane {}", settings.number));
        let reader = settings.broker.reader(Isolation::ReadCommitted).map_err(failed())?;
        let producers = OpenProducers::open(&settings).await.map_err(failed())?;
        Ok(Self {
            feeds: InputReader::new(reader, settings.limits.queue_bytes),
            pace: CommitPace::new(settings.limits.commits),
            outputs: Outputs::new(producers.outputs, settings.limits.commits),
            producer: LaneProducer::Here(producers.transactions),
            settings,
            out_topics: Rc::default(),
            shards: BTreeMap::new(),
            news: Rc::default(),
            paused: false,
            committing: None,
            reopening: None,
            suspects: BTreeSet::new(),
            looked: Instant::now(),
            spare: Vec::new(),
            firings: Firings::default(),
            closings: Closings::default(),
            opening: Vec::new(),
            committing_first: Vec::new(),
        })
    }

    /// Works until the commands end. Then drops the shards that were not closed, uncommitted.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<LaneCommand>) {
        loop {
            match self.next(&mut commands).await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) => {
                    self.drop_all();
                    let _ = self.settings.events.send(LaneEvent::Failed(error));
                    break;
                }
            }
        }
        self.drop_all();
        // Commands that are left are dropped without an answer, which tells their senders that the
        // lane has ended. The channel is closed first. Otherwise a command that is sent at this
        // moment would stay in it.
        commands.close();
        while commands.recv().await.is_some() {}
    }

    /// Makes one round of the loop. Breaks when the commands have ended.
    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<LaneCommand>) -> Result<ControlFlow<()>, RunError> {
        let can_commit = self.can_commit() && !self.shards.is_empty();
        let (next_commit, idle_commit) = (self.next_commit(), self.idle_commit());
        let next_leave = self.outputs.next(&self.news.leaving);
        let (feeds, committing, reopening) = (&mut self.feeds, &mut self.committing, &mut self.reopening);
        let (firings, closings, outputs) = (&mut self.firings, &mut self.closings, &mut self.outputs);
        let wake = tokio::select! {
            biased;
            command = commands.recv() => Wake::Command(command),
            () = done(committing) => Wake::Committed,
            () = outputs.flushed() => Wake::Flushed,
            () = reopened(reopening) => Wake::Reopened,
            () = firings.fired() => Wake::Fired,
            () = closings.finished() => Wake::Finished,
            () = self.news.come() => Wake::Noticed,
            () = tokio::time::sleep_until(next_commit), if can_commit => Wake::Tick,
            fetched = feeds.next() => Wake::Fetched(fetched),
            () = at(idle_commit), if can_commit => Wake::Tick,
            () = at(next_leave) => Wake::Leave,
        };
        match wake {
            Wake::Command(None) => return Ok(ControlFlow::Break(())),
            Wake::Command(Some(command)) => self.command(command).await?,
            Wake::Fetched(Err(BrokerError::OffsetOutOfRange { partition, offset, start, .. })) if offset < start => {
                self.go_on_after(Expired { source: partition, from: offset, to: start }).await?;
            }
            Wake::Fetched(fetched) => self.feeds.dispatch(fetched.map_err(RunError::broker("reading"))?),
            Wake::Committed => self.committed()?,
            Wake::Flushed => self.outputs_left()?,
            Wake::Leave => self.begin_leaving()?,
            Wake::Reopened => self.finish_reopening().await?,
            Wake::Tick => self.commit_finished()?,
            Wake::Noticed => {}
            Wake::Finished => self.close_finished().await?,
            Wake::Fired => {
                self.commit_now().await?;
                self.firings.answer();
            }
        }
        self.look_after_shards().await?;
        Ok(ControlFlow::Continue(()))
    }

    /// Handles an input whose next records were removed before they were read. Goes on after them
    /// if the program does without them.
    async fn go_on_after(&mut self, expired: Expired) -> Result<(), RunError> {
        if let Err(error) = expired.check(&self.settings.topology) {
            // The finished work is valid.
            self.commit_now().await?;
            return Err(error);
        }
        expired.pass_over(&self.settings.metrics.metrics);
        if let Some((before, now)) = self.feeds.go_on_at(&expired.source, expired.to)? {
            let sources = self.shards.values_mut().flat_map(|running| &mut running.sources);
            sources.filter(|source| **source == before).for_each(|source| *source = now);
        }
        Ok(())
    }

    async fn command(&mut self, command: LaneCommand) -> Result<(), RunError> {
        match command {
            LaneCommand::Open(plan, ready) => {
                self.open_shard(&plan)?;
                if plan.inputs.commits_first {
                    self.opening.push(ready);
                } else {
                    let _ = ready.send(());
                }
            }
            LaneCommand::Close(shards, closed) => self.close(shards, closed),
            LaneCommand::Drop(shards, dropped) => {
                // The commit under way may hold work of these shards. Wait until it is known
                // whether it was committed or refused.
                self.finish_commit().await?;
                shards.iter().for_each(|shard| self.drop_shard(*shard));
                let _ = dropped.send(());
            }
            LaneCommand::Fire(done) => {
                let mut waiting = Vec::new();
                for running in self.shards.values() {
                    let (fired, wait) = oneshot::channel();
                    running.shard.control.fire.borrow_mut().push(fired);
                    running.shard.link.wake();
                    waiting.push(wait);
                }
                self.firings.begin(waiting, done);
            }
        }
        Ok(())
    }

    fn open_shard(&mut self, plan: &ShardPlan) -> Result<(), RunError> {
        let LaneSettings { program, topology, worker, .. } = &self.settings;
        let (shard, task) = plan.open(program, topology, worker.clone(), self.out_topics.clone(), self.news.clone());
        shard.control.paused.set(self.paused);
        if shard.link.commits_alone() {
            self.suspects.insert(shard.id);
        }
        self.settings.metrics.open(&shard);
        self.settings.watchdog.open(thread_name(self.settings.number), shard.in_hand.clone());
        let sources = self.feeds.open(&shard)?;
        for table in &shard.tables {
            let slice = CommittedSlice {
                store: shard.store.clone(),
                table: table.index,
                slot: table.slot,
                moved: shard.committed.subscribe(),
            };
            let published = Published { slice, owner: shard.owner.clone() };
            self.settings.worker.routes.publish(&table.name, shard.id.partition, published);
        }
        let (ends, ended) = oneshot::channel::<()>();
        let link = shard.link.clone();
        let task = self.settings.spawner.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                link.tear();
                resume_unwind(panic);
            }
            drop(ends);
        });
        self.shards.insert(shard.id, LaneShard { shard, task, ended: Some(ended), sources });
        Ok(())
    }

    /// Resumes paused inputs, commits when much waits, and handles shards that failed.
    pub(super) async fn look_after_shards(&mut self) -> Result<(), RunError> {
        self.feeds.go_on();
        let failed = self.news.take_failed();
        if failed {
            self.drop_torn().await?;
        }
        if failed && let Some(failure) = self.shards.values().find_map(|running| running.shard.link.failure()) {
            // The finished work of the other shards is valid, and so is what this shard finished
            // before.
            self.commit_now().await?;
            return Err(failure.into());
        }
        let (uncommitted, limit) = (self.news.uncommitted_bytes(), self.settings.limits.commit_bytes);
        if uncommitted >= limit {
            self.commit_calm()?;
        }
        if !self.suspects.is_empty() && !self.is_commit_due() {
            self.commit_a_suspect()?;
        }
        self.pause_shards(uncommitted >= limit.saturating_mul(2));
        Ok(())
    }

    /// Drops shards whose task panicked. The worker stops, and its other shards commit what they
    /// finished.
    pub(super) async fn drop_torn(&mut self) -> Result<(), RunError> {
        let torn = self.shards.values().filter(|running| running.shard.link.is_torn());
        let torn: Vec<ShardId> = torn.map(|running| running.shard.id).collect();
        if !torn.is_empty() {
            self.finish_commit().await?;
            torn.into_iter().for_each(|id| self.drop_shard(id));
        }
        Ok(())
    }

    pub(super) fn pause_shards(&mut self, pause: bool) {
        if std::mem::replace(&mut self.paused, pause) == pause {
            return;
        }
        for LaneShard { shard, .. } in self.shards.values() {
            shard.control.paused.set(pause);
            if !pause {
                shard.link.wake();
            }
        }
    }

    /// Begins to close shards: ends their inputs and lets them finish the events in hand.
    fn close(&mut self, ids: Vec<ShardId>, closed: oneshot::Sender<()>) {
        let mut tasks = Vec::new();
        for id in &ids {
            if let Some(running) = self.shards.get_mut(id) {
                running.sources.drain(..).for_each(|source| self.feeds.close(source));
                running.shard.link.closing.set(true);
                running.shard.link.wake();
                tasks.extend(running.ended.take().map(|ended| (running.shard.clone(), ended)));
            }
        }
        self.closings.begin(ids, tasks, self.settings.limits.close_within, closed);
    }

    /// Commits the work of the shards that have finished, drops them, and answers the callers.
    pub(super) async fn close_finished(&mut self) -> Result<(), RunError> {
        let closed = self.closings.take_finished();
        // An event that did not finish in time is abandoned.
        for id in closed.iter().flat_map(|closing| &closing.shards) {
            if let Some(running) = self.shards.get(id) {
                running.task.abort();
            }
        }
        self.commit_now().await?;
        for closing in closed {
            closing.shards.iter().for_each(|id| self.drop_shard(*id));
            closing.tell();
        }
        Ok(())
    }

    pub(super) fn drop_shard(&mut self, id: ShardId) {
        let Some(running) = self.shards.remove(&id) else { return };
        tracing::debug!(group = id.group, partition = %id.partition, "let go of");
        running.task.abort();
        running.sources.into_iter().for_each(|source| self.feeds.close(source));
        let shard = running.shard;
        shard.link.tell_uncommitted(0);
        shard.link.tell_busy(false);
        for table in &shard.tables {
            self.settings.worker.routes.slices.withdraw(&table.name, id.partition, &shard.owner);
        }
        self.settings.metrics.close(&shard);
        self.settings.watchdog.close(&thread_name(self.settings.number), id);
        close(&*shard.store);
    }

    pub(super) fn drop_all(&mut self) {
        self.committing = None;
        // The shards of these callers were not reported as open. They are opened again, or belong
        // to another worker.
        self.opening.clear();
        self.committing_first.clear();
        self.news.leaving.borrow_mut().clear();
        let ids: Vec<ShardId> = self.shards.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drop_shard(id));
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// Returns the name of a lane's thread within its worker.
pub(crate) fn thread_name(lane: usize) -> Arc<str> {
    format!("lane-{lane}").into()
}

/// Waits until `moment`, or forever if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        // A timer would round a moment that has just passed up to the next millisecond.
        Some(moment) if moment <= Instant::now() => {}
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits for the commit under way, or forever if there is none.
pub(super) async fn done(committing: &mut Option<Commit>) {
    match committing {
        Some(commit) => commit.done().await,
        None => std::future::pending().await,
    }
}

/// Waits for the producer that is being opened, or forever if there is none.
pub(super) async fn reopened(reopening: &mut Option<Reopening>) {
    match reopening {
        Some(reopening) => reopening.done().await,
        None => std::future::pending().await,
    }
}
