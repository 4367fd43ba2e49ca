//! [`Running`]: a program that is at work in this process, from its start to its stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use marlowe_broker::SharedBroker;
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
use tokio::sync::mpsc;

#[cfg(feature = "kafka")]
use crate::config::INSTANCE_SETTING;
use crate::config::{BrokerChoice, Config};
use crate::data_folder::DataFolder;
use crate::error::RunError;
use crate::lane::{LaneLimits, Patience};
use crate::peer::PeerSecurity;
use crate::prepare::{prepare_topics, take_over};
use crate::program::Program;
use crate::restore::{Logs, StateStore, TablesFolder, logs};
use crate::scope::WorkerWith;
use crate::threads::{Failures, Threads};
use crate::watch;
use crate::web::{Listeners, WebRoutes, WebServer};
use crate::worker::{ClusterView, Drain, Progress, Shared, Worker, WorkerSettings};

/// A program that is at work in this process. Made by [`App::start`](crate::App::start).
///
/// ```
/// use marlowe::{App, Config};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut app = App::new("sums");
/// let numbers = app.topic::<String, u64>("numbers");
/// let sums = app.table::<String, u64>("sums");
/// app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
///     sums.update(event.key, |sum| *sum += event.value);
///     Ok(())
/// });
///
/// let mut running = app.start(Config::default().without_web().workers(2)).await?;
/// running.ready().await?;
/// let (numbers, sums) = running.open((numbers, sums.view()));
/// for number in 1..=4 {
///     numbers.send(&"all".to_owned(), &number).await?;
/// }
/// running.drain().await?;
/// assert_eq!(sums.get("all").await?, Some(10));
/// running.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends the workers as a crash would: what they have in hand is not committed, and is
/// done again at the next start. [`stop`](Self::stop) lets them finish.
pub struct Running {
    pub(crate) shared: Shared,
    pub(crate) workers: Vec<Worker>,
    web: Vec<WebServer>,
    failures: mpsc::UnboundedReceiver<RunError>,
    stopping: watch::Sender<bool>,
    /// Dropped last, because work that is still running may need to ask other workers.
    _cluster_view: ClusterView,
}

/// Opens the broker that the settings name.
pub(crate) async fn open_broker(app: &Arc<str>, config: &Config) -> Result<SharedBroker, RunError> {
    let folder = config.data_dir.as_ref().map(|path| DataFolder::look(path, app)).transpose()?;
    if let Some(folder) = &folder
        && !matches!(config.broker, BrokerChoice::Embedded)
    {
        folder.check_elsewhere()?;
    }
    match &config.broker {
        BrokerChoice::Custom(broker) => Ok(broker.clone()),
        #[cfg(feature = "kafka")]
        BrokerChoice::Kafka(kafka) => {
            kafka.check().map_err(|error| RunError::Settings(error.to_string()))?;
            let mut kafka = kafka.clone();
            // This setting is for workers: see `Config::instance_name`.
            kafka.settings.remove(INSTANCE_SETTING);
            if let Some(bytes) = config.max_message_bytes {
                kafka.settings.insert("message.max.bytes".into(), bytes.to_string());
            }
            let connected = marlowe_kafka::KafkaBroker::connect(kafka).await;
            connected.map_err(RunError::broker("connecting to Kafka"))
        }
        BrokerChoice::Embedded => {
            let mut embedded = EmbeddedConfig {
                clock: config.clock.clone(),
                entropy: config.entropy.clone(),
                ..EmbeddedConfig::default()
            };
            if let Some(bytes) = config.max_message_bytes {
                embedded.max_message_bytes = bytes;
            }
            Ok(match folder {
                None => Arc::new(EmbeddedBroker::in_memory(embedded)),
                Some(folder) => Arc::new(folder.open_broker(embedded)?),
            })
        }
    }
}

/// Opens the broker for a worker. If the embedded broker is lost and the settings allow it, the
/// rest of its folder is set aside, and the worker begins again with an empty broker.
async fn open_broker_or_set_aside(app: &Arc<str>, config: &Config) -> Result<SharedBroker, RunError> {
    match (open_broker(app, config).await, &config.data_dir) {
        (Err(lost @ RunError::LostBroker { .. }), Some(path)) if config.set_aside => {
            let aside = DataFolder::look(path, app)?.set_aside()?;
            tracing::warn!(
                "{lost}. What was left is moved to {}, and the program starts without records and rows",
                aside.display()
            );
            open_broker(app, config).await
        }
        (opened, _) => opened,
    }
}

impl Running {
    pub(crate) async fn start(program: Arc<Program>, added: WebRoutes, config: &Config) -> Result<Self, RunError> {
        config.check_bounds()?;
        config.check_instance()?;
        config.check_token()?;
        config.check_web()?;
        if let Some(error) = program.worker_timers.iter().find_map(|timer| timer.never_runs(config.clock.now())) {
            return Err(error.into());
        }
        let tls = config.tls()?;
        let mut listeners = Listeners::bind(config, tls.as_deref())?;
        let broker = open_broker_or_set_aside(&program.app, config).await?;
        let topology = prepare_topics(&program, &*broker, &*config.clock, config.topic_settings()).await?;
        let topology = Arc::new(topology);
        take_over(&program, &topology, &*broker).await?;
        let (owner, logs) = match &config.data_dir {
            Some(path) => {
                let owner = DataFolder::look(path, &program.app)?.claim(|| config.entropy.next())?;
                (Some(owner), logs(&program, &*broker).await?)
            }
            None => (None, Logs::default()),
        };
        let process = format!("{:08x}", config.entropy.next() as u32).into();
        let clock = config.clock.clone();
        let security = PeerSecurity { signer: config.signer(), tls: tls.clone() };
        let (failures, failed) = Failures::new();
        let threads = Threads { host: config.host.clone(), failures };
        let (routes, cluster_view) =
            ClusterView::connect(process, &program, &topology, broker.clone(), clock, security, &threads).await?;
        let stopping = watch::Sender::new(false);
        let shared = Shared {
            program,
            topology,
            broker,
            routes,
            clock: config.clock.clone(),
            entropy: config.entropy.clone(),
            stopping: stopping.subscribe(),
            threads,
        };
        let mut workers = Vec::new();
        let mut web = Vec::new();
        for number in 0..config.workers {
            let name: Arc<str> = config.worker_name(number).into();
            let listener = listeners.next();
            let settings = WorkerSettings {
                instance: config.instance_name().is_some().then(|| name.clone()),
                name,
                url: listener.as_ref().map(|listener| listener.url.clone()),
                lanes: config.lanes_per_worker(),
                stores: match config.data_dir.as_ref().zip(owner.clone()) {
                    None => StateStore::Memory,
                    Some((data_dir, owner)) => StateStore::Folder {
                        path: TablesFolder::path(data_dir, number),
                        owner,
                        host: config.host.clone(),
                    },
                },
                logs: logs.clone(),
                limits: LaneLimits::of(config),
                patience: Patience { stuck_after: config.stuck_after, unready_after: config.unready_after },
                standby_replicas: config.standby_replicas,
                session_timeout: config.session_timeout,
                trim_interval: config.trim_interval(),
            };
            let worker = Worker::start(&shared, settings).await?;
            if let Some(listener) = listener {
                web.push(WebServer::start(&shared, &worker, &added, listener, config, tls.clone())?);
            }
            workers.push(worker);
        }
        Ok(Self { shared, workers, web, failures: failed, stopping, _cluster_view: cluster_view })
    }

    /// Waits until all shards of all workers are open.
    ///
    /// # Errors
    /// If a worker fails before.
    pub async fn ready(&mut self) -> Result<(), RunError> {
        let Self { workers, failures, .. } = self;
        let ready = async {
            for worker in workers {
                worker.ready().await;
            }
            Ok(())
        };
        unless_failed(failures, ready).await
    }

    /// Waits until the tasks and sources are done and every input is processed to its end. Then
    /// each timer fires once more, but no crontab. All events of a batch that a stream
    /// [takes](crate::agent::Events::take) must be acknowledged.
    ///
    /// # Errors
    /// If a worker fails before.
    pub async fn drain(&mut self) -> Result<(), RunError> {
        self.drain_watched(|_| {}).await
    }

    pub(crate) async fn drain_watched(&mut self, watch: impl FnMut(Progress)) -> Result<(), RunError> {
        let Self { shared, workers, failures, .. } = self;
        unless_failed(failures, Drain { shared, workers }.run(watch)).await
    }

    /// Waits until a worker fails, and returns the error.
    pub async fn failed(&mut self) -> RunError {
        match self.failures.recv().await {
            Some(error) => error,
            None => RunError::Settings("the workers have stopped".into()),
        }
    }

    /// Returns the next failure that was not returned before, if there is one.
    #[cfg(feature = "sim")]
    pub(crate) fn failure(&mut self) -> Option<RunError> {
        self.failures.try_recv().ok()
    }

    /// Returns the addresses on which the workers' web servers listen, in the workers' order. Empty
    /// [without](Config::without_web) web servers.
    pub fn web_addresses(&self) -> Vec<SocketAddr> {
        self.web.iter().map(|server| server.address).collect()
    }

    /// Opens a view, inbox, global table, topic or agent on the first worker, for programs that
    /// have their own `main`.
    pub fn open<W: WorkerWith>(&self, with: W) -> W::Opened {
        with.open_on_worker(&self.workers[0].scope)
    }

    /// Opens a view, inbox, global table, topic or agent on worker `number`, counted from 0.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn open_on<W: WorkerWith>(&self, number: usize, with: W) -> W::Opened {
        with.open_on_worker(&self.workers[number].scope)
    }

    /// Returns the number of records that were read from changelogs since the start to restore
    /// slices of tables. With a data folder these are only the records that the local stores did
    /// not have.
    pub fn restored(&self) -> u64 {
        self.workers.iter().map(|worker| worker.progress.restored.load(Ordering::Relaxed)).sum()
    }

    /// Finishes the events in hand, commits, and stops the workers.
    ///
    /// # Errors
    /// If something failed that was not returned before.
    pub async fn stop(mut self) -> Result<(), RunError> {
        // Timers and tasks of all workers stop first. Otherwise one that runs on the leader would
        // begin again on the next leader.
        self.stopping.send_replace(true);
        for worker in std::mem::take(&mut self.workers) {
            worker.stop().await;
        }
        for server in std::mem::take(&mut self.web) {
            server.stop().await;
        }
        self.failures.close();
        match self.failures.recv().await {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Runs until a worker fails or `stop` is ready, and then stops the workers.
    ///
    /// # Errors
    /// The error of the worker that failed, or of the stop. The workers have 60 seconds to stop.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let error = tokio::select! {
            biased;
            error = self.failed() => Some(error),
            () = stop => None,
        };
        let stopped = tokio::time::timeout(Duration::from_secs(60), self.stop()).await;
        match (error, stopped) {
            (Some(error), _) => Err(error),
            (None, Ok(stopped)) => stopped,
            (None, Err(_)) => Err(RunError::System {
                doing: "stop the workers".into(),
                reason: "they did not finish within a minute; what was not committed is done again at the next start"
                    .into(),
            }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        std::mem::take(&mut self.workers).into_iter().for_each(Worker::crash);
        std::mem::take(&mut self.web).into_iter().for_each(WebServer::crash);
    }
}

async fn unless_failed<T>(
    failures: &mut mpsc::UnboundedReceiver<RunError>,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        Some(error) = failures.recv() => Err(error),
        done = work => done,
    }
}
