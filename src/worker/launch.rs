//! The start and the end of a worker: its threads, and the parts that run on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use marlowe_broker::{GroupConfig, MetadataSource};
use tokio::sync::{mpsc, oneshot};

use super::acquire::ShardAcquisition;
use super::control::{Control, ControlCommand};
use super::directory_publisher::Deregister;
use super::launch_settings::WorkerSettings;
use super::parts::{
    Copies, PublishedEntry, group_names, keep_watch, open_scope, restorer, start_standbys, start_trimmer, take_folder,
};
use super::shared::Shared;
use super::status::{WorkerState, WorkerStatus};
use super::timers::{TasksLeft, TimerThread, start_timers};
use super::worker_threads::WorkerThreads;
use crate::error::RunError;
use crate::host::Join;
use crate::lane::{InFlight, Lane, LaneLimits, LaneSettings, TIMERS, Watchdog};
use crate::metrics::Metrics;
use crate::restore::{InputLookup, RestoreProgress, TablesFolder};
use crate::scope::WorkerScope;
use crate::standby::Standbys;
use crate::threads::{Failures, Spawner, Thread, Threads};
use crate::watch;

/// How long the broker may take to learn that a worker has left.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// A worker at work, as its process sees it.
pub(crate) struct Worker {
    pub(crate) name: Arc<str>,
    pub(crate) scope: Arc<WorkerScope>,
    pub(crate) status: watch::Receiver<WorkerStatus>,
    pub(crate) progress: Arc<RestoreProgress>,
    pub(crate) metrics: Metrics,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) commands: mpsc::UnboundedSender<ControlCommand>,
    /// The worker's identity in its group, once it has joined.
    pub(crate) metadata: watch::Receiver<Option<Arc<dyn MetadataSource>>>,
    pub(crate) session_timeout: Duration,
    /// The commits of each lane that are under way.
    in_flight: Vec<InFlight>,
    /// Starts threads for this worker.
    pub(crate) starts: Threads,
    /// Channels that ask a timer for one more run.
    timers: Vec<mpsc::Sender<oneshot::Sender<()>>>,
    pub(crate) tasks: watch::Receiver<TasksLeft>,
    farewell: Deregister,
    /// The worker's standbys, if it has any.
    pub(crate) standbys: Option<Standbys>,
    threads: Vec<Thread>,
    joins: Vec<Join>,
    /// Unlocked when the threads have ended.
    folder: Option<TablesFolder>,
}

impl Worker {
    /// Starts a worker. Later failures are reported as failures of the process.
    pub(crate) async fn start(shared: &Shared, settings: WorkerSettings) -> Result<Self, RunError> {
        let failures = shared.threads.failures.of_worker();
        let starts = Threads { failures: failures.clone(), ..shared.threads.clone() };
        let (name, session_timeout) = (settings.name.clone(), settings.session_timeout);
        let folder = take_folder(shared, &settings)?;
        let metrics = Metrics::new();
        let watchdog = Watchdog::new(settings.patience, metrics.clone());
        let mut threads = WorkerThreads::new(name.clone(), starts.clone(), watchdog.clone());
        let background = threads.start("background")?;
        let restoring = threads.start_restoring(shared.threads.host.cores())?;
        let control = threads.start("control")?;
        let timer_thread = threads.start(TIMERS)?;

        let inputs = InputLookup::new(shared.program.clone(), shared.topology.clone(), shared.broker.clone());
        let copies = Copies::follow(shared, &settings.stores, &inputs.lookups, &failures, &background).await?;
        let scope = open_scope(shared, &name, copies.stores, &metrics, &background)?;

        let (status_sender, status) = watch::channel(WorkerStatus::default());
        let (leader, leads) = watch::channel(false);
        let (commands, waiting) = mpsc::unbounded_channel();
        let progress = Arc::new(RestoreProgress::default());
        keep_watch(shared, &metrics, &watchdog, &background);
        let restorer = restorer(shared, settings.stores.clone(), inputs, &progress, &metrics);
        let standbys = start_standbys(shared, &settings, &restorer, &mut threads)?;
        let takings = ShardAcquisition {
            worker: name.clone(),
            groups: group_names(shared),
            restorer,
            threads: restoring,
            standbys: standbys.clone(),
            directory: shared.routes.directory.clone(),
            metrics: metrics.clone(),
        };

        let in_flight: Vec<InFlight> = (0..settings.lanes).map(|_| InFlight::default()).collect();
        let parts = ControlParts {
            shared: shared.clone(),
            scope: scope.clone(),
            limits: settings.limits,
            session_timeout,
            instance: settings.instance.clone(),
            metrics: metrics.clone(),
            lane_threads: threads.start_lanes(settings.lanes)?,
            in_flight: in_flight.clone(),
            takings,
            leader,
            status: status_sender,
            caught_up: copies.caught_up,
            spawner: control.spawner(),
            watchdog: watchdog.clone(),
        };
        let metadata = parts.start(&control, waiting, failures.clone());

        let on = TimerThread { thread: timer_thread, failures, runs: watchdog.timers.clone() };
        let (tasks, timers) = start_timers(shared, &scope, on, leads, status.clone(), metadata.clone());
        let published = PublishedEntry { url: settings.url, session_timeout, groups: group_names(shared) };
        let farewell = published.start(shared, &scope, &status, &tasks, standbys.as_ref(), &background);
        start_trimmer(shared, settings.trim_interval, &status, &background);
        let WorkerThreads { threads, joins, .. } = threads;
        Ok(Self {
            name,
            scope,
            status,
            progress,
            metrics,
            watchdog,
            commands,
            metadata,
            session_timeout,
            in_flight,
            starts,
            timers,
            tasks,
            farewell,
            standbys,
            threads,
            joins,
            folder,
        })
    }

    /// Waits until all shards of the worker are open.
    pub(crate) async fn ready(&self) {
        if self.status.clone().wait_for(|status| status.state == WorkerState::Ready).await.is_err() {
            // The worker's control has ended, and so a failure is reported.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until all commits that have begun by now are in the worker's stores, and so in its
    /// views.
    pub(crate) async fn settled(&self) {
        for lane in &self.in_flight {
            lane.settled().await;
        }
    }

    /// Fires every partition timer of the worker's shards once more, and commits.
    pub(crate) async fn fire_partition_timers(&self) {
        let (done, wait) = oneshot::channel();
        let _ = self.commands.send(ControlCommand::FirePartitionTimers(done));
        let _ = wait.await;
    }

    /// Fires every timer of the worker once more, except for crontabs, which run only at the times
    /// that they name.
    pub(crate) async fn fire_timers(&self) {
        for timer in &self.timers {
            let (done, wait) = oneshot::channel();
            // Sending fails if the timer's run has ended.
            if timer.send(done).await.is_ok() {
                let _ = wait.await;
            }
        }
    }

    /// Finishes the events in hand, commits, and leaves the group.
    pub(crate) async fn stop(self) {
        let (done, wait) = oneshot::channel();
        let _ = self.commands.send(ControlCommand::Stop(done));
        // This comes before the wait. If the control has ended, the command is dropped, and the
        // wait ends, only with the last sender.
        drop(self.commands);
        let _ = wait.await;
        self.farewell.say(FAREWELL_WITHIN).await;
        drop(self.threads);
        // The threads end when nothing is left to do on them, and their runtimes end with them.
        Join::all(self.joins).await;
        drop(self.folder);
    }
}

impl Worker {
    /// Ends the worker at once, as a crash would. Nothing is committed, and the group is not told.
    /// Returns when the threads are gone, and with them what they had open.
    pub(crate) fn crash(self) {
        let Self { commands, threads, joins, farewell, folder, .. } = self;
        drop(commands);
        drop(farewell);
        drop(threads);
        joins.into_iter().for_each(Join::now);
        drop(folder);
    }
}

/// The parts with which the control thread starts.
struct ControlParts {
    shared: Shared,
    scope: Arc<WorkerScope>,
    limits: LaneLimits,
    session_timeout: Duration,
    instance: Option<Arc<str>>,
    metrics: Metrics,
    lane_threads: Vec<Thread>,
    in_flight: Vec<InFlight>,
    takings: ShardAcquisition,
    leader: watch::Sender<bool>,
    status: watch::Sender<WorkerStatus>,
    caught_up: Vec<watch::Receiver<bool>>,
    spawner: Spawner,
    watchdog: Arc<Watchdog>,
}

impl ControlParts {
    /// Runs the control on its thread. Returns the worker's membership, once there is one.
    fn start(
        self,
        control: &Thread,
        waiting: mpsc::UnboundedReceiver<ControlCommand>,
        failures: Failures,
    ) -> watch::Receiver<Option<Arc<dyn MetadataSource>>> {
        let (metadata_sender, metadata) = watch::channel(None);
        control.run(move || async move {
            if let Err(error) = self.run(waiting, metadata_sender, failures.clone()).await {
                failures.tell(error);
            }
        });
        metadata
    }

    async fn run(
        self,
        commands: mpsc::UnboundedReceiver<ControlCommand>,
        metadata: watch::Sender<Option<Arc<dyn MetadataSource>>>,
        failures: Failures,
    ) -> Result<(), RunError> {
        let Shared { program, topology, broker, .. } = self.shared;
        // A worker joins the group only when its copies of the global tables have reached the ends
        // that their logs had at the start.
        for mut copy in self.caught_up {
            if copy.wait_for(|reached| *reached).await.is_err() {
                // The follower of the copy failed, and has reported that.
                return Ok(());
            }
        }
        let anchors = topology.groups.iter().map(|group| topology.anchor(group));
        let anchors: Vec<Arc<str>> = anchors.chain([topology.leader_anchor()]).collect();
        let mut group = GroupConfig::new(program.app.clone(), anchors);
        group.session_timeout = self.session_timeout;
        group.instance = self.instance;
        let membership = broker.join(group).await.map_err(RunError::broker("joining the group"))?;
        metadata.send_replace(Some(membership.metadata()));

        let (lane_events_sender, lane_events) = mpsc::unbounded_channel();
        let mut lanes = Vec::new();
        for (number, thread) in self.lane_threads.iter().enumerate() {
            let settings = LaneSettings {
                number,
                program: program.clone(),
                topology: topology.clone(),
                worker: self.scope.clone(),
                broker: broker.clone(),
                metadata: membership.metadata(),
                limits: self.limits,
                metrics: self.metrics.lane(number),
                in_flight: self.in_flight[number].clone(),
                events: lane_events_sender.clone(),
                spawner: thread.spawner(),
                watchdog: self.watchdog.clone(),
            };
            let (sender, lane_commands) = mpsc::unbounded_channel();
            let (opened, ready) = oneshot::channel();
            thread.run(move || async move {
                match Lane::open(settings).await {
                    Ok(lane) => {
                        let _ = opened.send(Ok(()));
                        lane.run(lane_commands).await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
            match ready.await {
                Ok(opened) => opened?,
                // The lane panicked while it was opened, and has reported that.
                Err(_) => return Ok(()),
            }
            lanes.push(sender);
        }
        let control = Control {
            worker: self.scope.worker.clone(),
            topology,
            metadata: membership.metadata(),
            membership,
            lanes,
            lane_events,
            takings: self.takings,
            leader: self.leader,
            status: self.status,
            owned: BTreeMap::new(),
            openings: 0,
            pending: FuturesUnordered::new(),
            spawner: self.spawner,
        };
        control.run(commands, failures).await;
        Ok(())
    }
}
