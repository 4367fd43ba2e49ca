use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use marlowe_broker::{BrokerError, Fetched, Isolation, MetadataSource, SharedBroker, Source};
use marlowe_state::Rows;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::command::{Dropped, LaneCommand, LaneEvent};
use super::commit::{Commit, CommitFailure};
use super::in_flight::UnderWay;
use super::input_reader::Feeds;
use super::pending_closes::Closings;
use super::pending_firings::Firings;
use super::producer::{LaneProducer, Reopening};
use super::watchdog::Watchdog;
use crate::error::RunError;
use crate::metrics::LaneMetrics;
use crate::program::Program;
use crate::query::{CommittedSlice, Published};
use crate::restore::close;
use crate::scope::WorkerScope;
use crate::shard::{Expired, Shard, ShardId, ShardPlan};
use crate::threads::Spawner;
use crate::topology::Topology;
use crate::turn::{Fault, LaneNews, OutTopics};

/// What a lane is made of.
pub(crate) struct LaneSettings {
    pub(crate) number: usize,
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) worker: Arc<WorkerScope>,
    pub(crate) broker: SharedBroker,
    pub(crate) metadata: Arc<dyn MetadataSource>,
    pub(crate) limits: LaneLimits,
    pub(crate) metrics: LaneMetrics,
    pub(crate) under_way: UnderWay,
    pub(crate) events: mpsc::UnboundedSender<LaneEvent>,
    /// Runs the shards' tasks beside the lane.
    pub(crate) spawner: Spawner,
    /// Is told which shards there are.
    pub(crate) watchdog: Arc<Watchdog>,
}

/// What bounds a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    /// The time between two commits.
    pub(crate) commit_interval: Duration,
    /// A commit is made before its time when so many bytes wait for it; twice as many stop the shards until it is done.
    pub(crate) commit_bytes: usize,
    /// A partition is not read further while so many bytes of it wait.
    pub(crate) queue_bytes: usize,
    /// How long events in hand may take to finish when a shard is to be closed.
    pub(crate) close_within: Duration,
}

/// A thread's share of a worker: shards that commit together.
pub(crate) struct Lane {
    settings: LaneSettings,
    feeds: Feeds,
    producer: LaneProducer,
    out_topics: Rc<RefCell<OutTopics>>,
    shards: BTreeMap<ShardId, Running>,
    news: Rc<LaneNews>,
    /// Too much waits for a commit: the shards begin nothing new.
    paused: bool,
    committing: Option<Commit>,
    /// While this is under way, nothing is committed.
    reopening: Option<Reopening>,
    /// Shards that commit alone, because the broker refused a record of theirs or of another one.
    suspects: BTreeSet<ShardId>,
    last_commit: Instant,
    spare: Vec<Rows>,
    firings: Firings,
    closings: Closings,
    /// Who waits for shards to be open whose agents' first places are to be committed before, and who for those in the commit
    /// that is under way.
    opening: Vec<oneshot::Sender<()>>,
    committing_first: Vec<oneshot::Sender<()>>,
}

struct Running {
    shard: Rc<Shard>,
    task: JoinHandle<()>,
    /// Ends with the task.
    ended: Option<oneshot::Receiver<()>>,
    sources: Vec<Source>,
}

/// Whose a fault is.
enum FaultOf {
    One(ShardId, Fault),
    All(Fault),
}

/// Why a lane's loop goes round.
enum Wake {
    Command(Option<LaneCommand>),
    Fetched(Result<Vec<Fetched>, BrokerError>),
    Committed,
    Reopened,
    Tick,
    Noticed,
    Fired,
    Finished,
}

impl Lane {
    pub(crate) async fn open(settings: LaneSettings) -> Result<Self, RunError> {
        let failed = || RunError::broker(format!("lane {}", settings.number));
        let reader = settings.broker.reader(Isolation::ReadCommitted).map_err(failed())?;
        let producer = LaneProducer::open(&settings).await.map_err(failed())?;
        Ok(Self {
            feeds: Feeds::new(reader, settings.limits.queue_bytes),
            settings,
            producer,
            out_topics: Rc::default(),
            shards: BTreeMap::new(),
            news: Rc::default(),
            paused: false,
            committing: None,
            reopening: None,
            suspects: BTreeSet::new(),
            last_commit: Instant::now(),
            spare: Vec::new(),
            firings: Firings::default(),
            closings: Closings::default(),
            opening: Vec::new(),
            committing_first: Vec::new(),
        })
    }

    /// Works until the commands end; then what was not closed is dropped uncommitted.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<LaneCommand>) {
        loop {
            match self.next(&mut commands).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.drop_all();
                    let _ = self.settings.events.send(LaneEvent::Failed(error));
                    break;
                }
            }
        }
        self.drop_all();
        // What is still asked of it is not answered, which says that it is over. A command that is sent at this moment would be
        // left in a queue that is only dropped.
        commands.close();
        while commands.recv().await.is_some() {}
    }

    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<LaneCommand>) -> Result<bool, RunError> {
        let next_commit = self.last_commit + self.settings.limits.commit_interval;
        let (feeds, committing, reopening) = (&mut self.feeds, &mut self.committing, &mut self.reopening);
        let (firings, closings) = (&mut self.firings, &mut self.closings);
        let can_commit = committing.is_none() && reopening.is_none() && !self.shards.is_empty();
        let next_commit = if self.opening.is_empty() { next_commit } else { self.last_commit };
        let wake = tokio::select! {
            biased;
            command = commands.recv() => Wake::Command(command),
            () = done(committing) => Wake::Committed,
            () = reopened(reopening) => Wake::Reopened,
            () = firings.fired() => Wake::Fired,
            () = closings.finished() => Wake::Finished,
            () = self.news.come() => Wake::Noticed,
            () = tokio::time::sleep_until(next_commit), if can_commit => Wake::Tick,
            fetched = feeds.next() => Wake::Fetched(fetched),
        };
        match wake {
            Wake::Command(None) => return Ok(false),
            Wake::Command(Some(command)) => self.command(command).await?,
            Wake::Fetched(Err(BrokerError::OffsetOutOfRange { partition, offset, start, .. })) if offset < start => {
                self.go_on_after(Expired { source: partition, from: offset, to: start }).await?;
            }
            Wake::Fetched(fetched) => self.feeds.dispatch(fetched.map_err(RunError::broker("reading"))?),
            Wake::Committed => self.committed()?,
            Wake::Reopened => self.finish_reopening().await?,
            Wake::Tick => self.begin_commit(self.calm())?,
            Wake::Noticed => {}
            Wake::Finished => self.close_finished().await?,
            Wake::Fired => {
                self.commit_now().await?;
                self.firings.answer();
            }
        }
        self.look_after_shards().await?;
        Ok(true)
    }

    /// Goes on with an input of which records were removed before they were read, if the program does without them.
    async fn go_on_after(&mut self, expired: Expired) -> Result<(), RunError> {
        if let Err(error) = expired.check(&self.settings.topology) {
            // What was finished is good.
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
                // A commit that holds some of their work is refused or has happened; either way it is known first.
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
        self.shards.insert(shard.id, Running { shard, task, ended: Some(ended), sources });
        Ok(())
    }

    /// Resumes what is read, commits when much waits, and sees whether a shard failed.
    async fn look_after_shards(&mut self) -> Result<(), RunError> {
        self.feeds.go_on();
        let failed = self.news.take_failed();
        if failed {
            self.drop_torn().await?;
        }
        if failed && let Some(failure) = self.shards.values().find_map(|running| running.shard.link.failure()) {
            // What the other shards finished is good, and so is what this one did before.
            self.commit_now().await?;
            return Err(failure.into());
        }
        let (uncommitted, limit) = (self.news.uncommitted_bytes(), self.settings.limits.commit_bytes);
        if uncommitted >= limit {
            self.begin_commit(self.calm())?;
        }
        if !self.suspects.is_empty() && self.last_commit + self.settings.limits.commit_interval > Instant::now() {
            self.commit_a_suspect()?;
        }
        self.pause_shards(uncommitted >= limit.saturating_mul(2));
        Ok(())
    }

    /// Lets go of shards whose task panicked. The worker stops, and others of its shards commit what they finished.
    async fn drop_torn(&mut self) -> Result<(), RunError> {
        let torn = self.shards.values().filter(|running| running.shard.link.is_torn());
        let torn: Vec<ShardId> = torn.map(|running| running.shard.id).collect();
        if !torn.is_empty() {
            self.finish_commit().await?;
            torn.into_iter().for_each(|id| self.drop_shard(id));
        }
        Ok(())
    }

    fn pause_shards(&mut self, pause: bool) {
        if std::mem::replace(&mut self.paused, pause) == pause {
            return;
        }
        for Running { shard, .. } in self.shards.values() {
            shard.control.paused.set(pause);
            if !pause {
                shard.link.wake();
            }
        }
    }

    /// The shards that commit together.
    fn calm(&self) -> Vec<Rc<Shard>> {
        let shards = self.shards.values().map(|running| &running.shard);
        // A panic may have left an event applied in part.
        shards.filter(|shard| !shard.link.commits_alone() && !shard.link.is_torn()).cloned().collect()
    }

    /// Begins a commit of the next shard that commits alone and has something to commit.
    fn commit_a_suspect(&mut self) -> Result<(), RunError> {
        if self.committing.is_some() || self.reopening.is_some() {
            return Ok(());
        }
        let (shards, suspects) = (&self.shards, &mut self.suspects);
        suspects.retain(|id| shards.get(id).is_some_and(|running| running.shard.link.commits_alone()));
        let has_work = |id: &&ShardId| {
            let shard = &shards[*id].shard;
            !shard.link.is_torn() && (shard.link.finished.get() > 0 || shard.has_moved())
        };
        let Some(shard) = suspects.iter().find(has_work).map(|id| shards[id].shard.clone()) else { return Ok(()) };
        let began = self.last_commit;
        self.begin_commit(vec![shard])?;
        // The others have their time.
        self.last_commit = began;
        Ok(())
    }

    /// Begins a commit of these shards, unless one is under way, or cannot be yet, or there is nothing to commit.
    fn begin_commit(&mut self, shards: Vec<Rc<Shard>>) -> Result<(), RunError> {
        if self.committing.is_some() || self.reopening.is_some() {
            return Ok(());
        }
        self.last_commit = Instant::now();
        let topics = self.out_topics.clone();
        self.settings.metrics.count(&shards);
        let begun = Commit::begin(&mut self.producer, &self.settings, &topics.borrow(), &mut self.spare, shards);
        self.committing = self.unless_refused(begun)?.flatten();
        self.committing_first.append(&mut self.opening);
        if self.committing.is_none() {
            self.tell_opened();
        }
        for Running { shard, .. } in self.shards.values() {
            shard.link.tell_uncommitted(shard.uncommitted_bytes());
        }
        Ok(())
    }

    /// The broker answered: what was committed goes into the stores, and what waits may go on.
    fn committed(&mut self) -> Result<(), RunError> {
        let Some(commit) = self.committing.take() else { return Ok(()) };
        let topics = self.out_topics.clone();
        let finished = commit.finish(&mut self.producer, &self.settings, &topics.borrow(), &mut self.spare);
        if self.unless_refused(finished)?.is_some() {
            self.pause_shards(false);
            self.tell_opened();
        }
        Ok(())
    }

    /// Says that shards are open whose agents' first places are committed.
    fn tell_opened(&mut self) {
        for opened in self.committing_first.drain(..) {
            let _ = opened.send(());
        }
    }

    /// What a commit came to; nothing if its work was dropped, to begin again.
    fn unless_refused<T>(&mut self, outcome: Result<T, CommitFailure>) -> Result<Option<T>, RunError> {
        let (why, fault) = match outcome {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(CommitFailure::Stops(error)) => return Err(error),
            Err(CommitFailure::Again(error)) => (error.to_string(), FaultOf::All(Fault::Elsewhere)),
            Err(CommitFailure::Unwritable(shard, reason)) => {
                (reason.clone(), FaultOf::One(shard, Fault::Unwritable(reason)))
            }
            Err(CommitFailure::Refused(error)) => (error.to_string(), FaultOf::All(Fault::Refused(error.to_string()))),
        };
        self.begin_again(why, &fault);
        Ok(None)
    }

    async fn finish_commit(&mut self) -> Result<(), RunError> {
        if self.committing.is_some() {
            done(&mut self.committing).await;
            self.committed()?;
        }
        Ok(())
    }

    /// Commits all that is finished, and waits for it.
    async fn commit_now(&mut self) -> Result<(), RunError> {
        self.finish_commit().await?;
        if !self.shards.is_empty() {
            self.finish_reopening().await?;
        }
        self.begin_commit(self.calm())?;
        self.finish_commit().await?;
        // Each has at most its quota, and begins nothing new before this is done.
        while self.reopening.is_none() && !self.suspects.is_empty() {
            self.commit_a_suspect()?;
            if self.committing.is_none() {
                break;
            }
            self.finish_commit().await?;
        }
        Ok(())
    }

    /// A commit did not go through: everything here is dropped, and the worker begins again from what is committed with what is
    /// still its own, once there is a producer again.
    fn begin_again(&mut self, why: String, fault: &FaultOf) {
        let dropped = |Running { shard, .. }: &Running| {
            let fault = match fault {
                FaultOf::One(at, fault) if *at == shard.id => fault,
                FaultOf::All(fault) => fault,
                FaultOf::One(..) => &Fault::Elsewhere,
            };
            let caution = shard.link.caution_after(fault, shard.places().collect());
            Dropped { id: shard.id, opening: shard.owner.opening, caution }
        };
        let shards: Vec<Dropped> = self.shards.values().map(dropped).collect();
        self.settings.metrics.dropped();
        self.drop_all();
        self.producer = LaneProducer::Away;
        self.reopening = Some(Reopening::begin(&self.settings, shards, why));
    }

    async fn finish_reopening(&mut self) -> Result<(), RunError> {
        if self.reopening.is_some() {
            reopened(&mut self.reopening).await;
        }
        let Some(reopening) = self.reopening.take() else { return Ok(()) };
        let (producer, dropped, why) = reopening.finish().await.map_err(RunError::broker("opening a new producer"))?;
        self.producer = producer;
        let _ = self.settings.events.send(LaneEvent::Dropped(dropped, why));
        Ok(())
    }

    /// Lets shards finish what they have in hand.
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

    /// Commits for the shards that have finished, lets go of them, and tells who waits.
    async fn close_finished(&mut self) -> Result<(), RunError> {
        let closed = self.closings.take_finished();
        // What did not finish in time is not begun any more.
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

    fn drop_shard(&mut self, id: ShardId) {
        let Some(running) = self.shards.remove(&id) else { return };
        tracing::debug!(group = id.group, partition = %id.partition, "let go of");
        running.task.abort();
        running.sources.into_iter().for_each(|source| self.feeds.close(source));
        let shard = running.shard;
        shard.link.tell_uncommitted(0);
        for table in &shard.tables {
            self.settings.worker.routes.slices.withdraw(&table.name, id.partition, &shard.owner);
        }
        self.settings.metrics.close(&shard);
        self.settings.watchdog.close(&thread_name(self.settings.number), id);
        close(&*shard.store);
    }

    fn drop_all(&mut self) {
        self.committing = None;
        // Shards that were not told to be open are opened anew, or another's.
        self.opening.clear();
        self.committing_first.clear();
        let ids: Vec<ShardId> = self.shards.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drop_shard(id));
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// What a lane's thread is called in its worker.
pub(crate) fn thread_name(lane: usize) -> Arc<str> {
    format!("lane-{lane}").into()
}

/// Waits for the commit under way; for ever when there is none.
async fn done(committing: &mut Option<Commit>) {
    match committing {
        Some(commit) => commit.done().await,
        None => std::future::pending().await,
    }
}

/// Waits for the producer that is opened; for ever when there is none.
async fn reopened(reopening: &mut Option<Reopening>) {
    match reopening {
        Some(reopening) => reopening.done().await,
        None => std::future::pending().await,
    }
}
