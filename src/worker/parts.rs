//! Parts of a worker that its start opens: its folder, its asker, the copies of global tables, and
//! its standbys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Entropy, SharedBroker};

use super::directory_publisher::{Deregister, DirectoryPublisher};
use super::global::GlobalFollower;
use super::launch_settings::WorkerSettings;
use super::shared::Shared;
use super::status::WorkerStatus;
use super::timers::TasksLeft;
use super::trimmer::Trimmer;
use super::worker_threads::{RESTORES_AT_A_TIME, WorkerThreads};
use crate::error::RunError;
use crate::lane::Watchdog;
use crate::metrics::Metrics;
use crate::outbound::{AskCounters, Asker, ClientProducer};
use crate::program::Program;
use crate::query::GlobalStore;
use crate::restore::{
    InputLookup, Lookups, RestorePermits, RestoreProgress, Restorer, StateStore, TablesFolder, count_expired,
};
use crate::scope::WorkerScope;
use crate::standby::{StandbyTask, Standbys};
use crate::threads::{Failures, Thread};
use crate::topology::{TableKind, Topology};
use crate::watch;

/// Takes the folder of the worker's tables, if it has one, and removes what is not the app's.
pub(super) fn take_folder(shared: &Shared, settings: &WorkerSettings) -> Result<Option<TablesFolder>, RunError> {
    match &settings.stores {
        StateStore::Memory => Ok(None),
        StateStore::Folder { path, .. } => {
            let folder = TablesFolder::take(path)?;
            folder.forget_strangers(&shared.program, &shared.topology, &settings.logs)?;
            Ok(Some(folder))
        }
    }
}

/// Opens the producer of a worker or client for everything that is not a shard, and the asker if
/// the program has agents that answer. Both work on `thread`.
pub(crate) fn open_outbound(
    program: &Program,
    topology: &Topology,
    broker: &SharedBroker,
    entropy: &dyn Entropy,
    counters: impl FnOnce() -> AskCounters,
    thread: &Thread,
) -> Result<(ClientProducer, Option<Asker>), RunError> {
    let producer = broker.producer().map_err(RunError::broker("opening a producer"))?;
    let (producer, sending) = ClientProducer::new(producer);
    thread.run(move || sending);
    let asker = program.answers().then(|| {
        let replies = program.replies_topic();
        let partitions = topology.partitions.get(&replies).copied().unwrap_or(1);
        let (asker, listening) = Asker::new(replies, partitions, entropy, producer.clone(), counters(), broker.clone());
        thread.run(move || listening);
        asker
    });
    Ok((producer, asker))
}

/// The worker's copies of global tables.
pub(super) struct Copies {
    pub(super) stores: BTreeMap<Arc<str>, GlobalStore>,
    /// For each copy: true once it has caught up.
    pub(super) caught_up: Vec<watch::Receiver<bool>>,
}

impl Copies {
    /// Opens the copies, and follows their changelogs on the thread `background`.
    pub(super) async fn follow(
        shared: &Shared,
        stores: &StateStore,
        lookups: &Arc<Lookups>,
        failures: &Failures,
        background: &Thread,
    ) -> Result<Self, RunError> {
        let mut copies = Self { stores: BTreeMap::new(), caught_up: Vec::new() };
        for table in shared.program.tables.iter().filter(|table| table.identity().kind == TableKind::Global) {
            let follower = GlobalFollower::open(*table, shared, lookups.clone(), stores).await?;
            copies.stores.insert(table.name().clone(), follower.copy());
            let (ready, reached) = watch::channel(false);
            copies.caught_up.push(reached);
            let failures = failures.clone();
            background.run(move || async move {
                if let Err(error) = follower.follow(ready).await {
                    failures.tell(error);
                }
            });
        }
        Ok(copies)
    }
}

/// Starts the standbys, if the worker keeps any.
pub(super) fn start_standbys(
    shared: &Shared,
    settings: &WorkerSettings,
    restorer: &Arc<Restorer>,
    threads: &mut WorkerThreads,
) -> Result<Option<Standbys>, RunError> {
    let replicas = settings.standby_replicas;
    if replicas == 0 {
        return Ok(None);
    }
    let (standbys, commands, report) = Standbys::new();
    let (worker, restorer, routes) = (settings.name.clone(), restorer.clone(), shared.routes.clone());
    let task = StandbyTask { worker, replicas, restorer, routes, commands, report };
    threads.start("standby")?.run(move || task.run());
    Ok(Some(standbys))
}

/// Opens what the worker's shards, timers and web handlers use alike.
pub(super) fn open_scope(
    shared: &Shared,
    worker: &Arc<str>,
    globals: BTreeMap<Arc<str>, GlobalStore>,
    metrics: &Metrics,
    background: &Thread,
) -> Result<Arc<WorkerScope>, RunError> {
    let Shared { program, topology, broker, entropy, .. } = shared;
    let (producer, asker) = open_outbound(program, topology, broker, &**entropy, || metrics.asks(), background)?;
    Ok(Arc::new(WorkerScope {
        app: shared.program.app.clone(),
        worker: worker.clone(),
        clock: shared.clock.clone(),
        entropy: shared.entropy.clone(),
        routes: shared.routes.clone(),
        globals,
        topology: shared.topology.clone(),
        producer,
        asker,
        record_limit: shared.broker.record_limit(),
    }))
}

/// Returns what restores the worker's shards.
pub(super) fn restorer(
    shared: &Shared,
    stores: StateStore,
    inputs: InputLookup,
    progress: &Arc<RestoreProgress>,
    metrics: &Metrics,
) -> Arc<Restorer> {
    Arc::new(Restorer {
        program: shared.program.clone(),
        topology: shared.topology.clone(),
        broker: shared.broker.clone(),
        lookups: inputs.lookups.clone(),
        inputs,
        stores,
        clock: shared.clock.clone(),
        progress: progress.clone(),
        metrics: metrics.clone(),
        turns: RestorePermits::new(RESTORES_AT_A_TIME),
    })
}

/// The part of a worker's entry in the directory that does not change.
pub(super) struct PublishedEntry {
    pub(super) url: Option<Arc<str>>,
    pub(super) session_timeout: Duration,
    /// The names of the co-partition groups.
    pub(super) groups: Vec<Arc<str>>,
}

impl PublishedEntry {
    /// Publishes on the thread `background`, until the worker leaves by what this returns.
    pub(super) fn start(
        self,
        shared: &Shared,
        scope: &WorkerScope,
        status: &watch::Receiver<WorkerStatus>,
        tasks: &watch::Receiver<TasksLeft>,
        standbys: Option<&Standbys>,
        background: &Thread,
    ) -> Deregister {
        let publisher = DirectoryPublisher {
            worker: scope.worker.clone(),
            groups: self.groups,
            url: self.url,
            topic: shared.program.workers_topic(),
            session_timeout: self.session_timeout,
            directory: shared.routes.directory.clone(),
            producer: scope.producer.clone(),
            clock: shared.clock.clone(),
            token: shared.routes.peers().token().cloned(),
            status: status.clone(),
            tasks: tasks.clone(),
            standbys: standbys.map(Standbys::followed),
        };
        let (farewell, publishing) = publisher.begin();
        background.run(move || publishing);
        farewell
    }
}

/// Returns the names of the co-partition groups, by their numbers.
pub(super) fn group_names(shared: &Shared) -> Vec<Arc<str>> {
    shared.topology.groups.iter().map(|group| group.name.clone()).collect()
}

/// Trims inbox and repartition topics on the thread `background`, every `interval`.
pub(super) fn start_trimmer(
    shared: &Shared,
    interval: Duration,
    status: &watch::Receiver<WorkerStatus>,
    background: &Thread,
) {
    let (topology, broker, status) = (shared.topology.clone(), shared.broker.clone(), status.clone());
    let trimmer = Trimmer { topology, broker, status, interval };
    background.run(move || trimmer.run());
}

/// Keeps the metrics and watches the worker's threads, on the thread `background`.
pub(super) fn keep_watch(shared: &Shared, metrics: &Metrics, watchdog: &Arc<Watchdog>, background: &Thread) {
    count_expired(&shared.topology, metrics);
    let (metrics, watchdog) = (metrics.clone(), watchdog.clone());
    background.run(move || metrics.keep());
    background.run(move || watchdog.run());
}
