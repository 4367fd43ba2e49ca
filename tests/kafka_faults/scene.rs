//! The scene of a fault: a Kafka cluster, an app of the test's own on it, and waits with a time
//! limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_cluster::{Cluster, ClusterConfig, Size};
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe::{Config, RunError, Running};
use marlowe_broker::SharedBroker;

use crate::common::address::any_port;
pub(crate) use crate::common::wait::{LONGEST, eventually, pause, within};
use crate::common::worker;
pub(crate) use crate::common::worker::crash;
use crate::program::Program;

/// The longest time for which a worker may be silent: enough for a busy machine, and not too long
/// to wait for.
pub(crate) const SESSION: Duration = Duration::from_secs(6);

/// An app on a cluster, and a client that only the test uses.
pub(crate) struct Scene {
    pub(crate) app: String,
    pub(crate) kafka: KafkaConfig,
    pub(crate) broker: SharedBroker,
}

impl Scene {
    /// Opens a scene on the cluster that the tests share. A test must not disturb that cluster.
    pub(crate) async fn shared() -> Self {
        let bootstrap = tokio::task::spawn_blocking(|| kafka_cluster::shared(Size::One)).await.unwrap();
        Self::at(KafkaConfig::new(bootstrap.unwrap_or_else(|error| panic!("{error}")))).await
    }

    /// Opens a scene on the cluster that `kafka` names. Each scene has an app with a name of its
    /// own.
    pub(crate) async fn at(kafka: KafkaConfig) -> Self {
        // With this, `MARLOWE_KAFKA_DEBUG=cgrp` can tell why a test fails.
        let kafka = kafka.read_environment().unwrap_or_else(|error| panic!("{error}"));
        static NEXT: AtomicU64 = AtomicU64::new(0);
        log();
        let app = format!("faults-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let broker = KafkaBroker::connect(kafka.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        Self { app, kafka, broker }
    }

    /// Returns the program, in the app of this scene.
    pub(crate) fn program(&self) -> Program {
        Program::new(&self.app)
    }

    /// Returns settings that commit often, use one lane and serve.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().kafka(self.kafka.clone()).web(any_port()).lanes(1);
        config.commit_interval = Duration::from_millis(50);
        config.session_timeout = SESSION;
        config
    }

    /// Starts a worker, and waits until the shards that it has got are open.
    pub(crate) async fn start(&self, program: &Program) -> Running {
        self.start_with(program, self.config()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a worker with the settings `config`, and waits until the shards that it has got are
    /// open.
    pub(crate) async fn start_with(&self, program: &Program, config: Config) -> Result<Running, RunError> {
        worker::start(program.app(), config).await
    }
}

/// Logs to standard error what `RUST_LOG` asks for.
pub(crate) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    // This fails if another test has done it already.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Starts a cluster that only one test uses.
pub(crate) async fn cluster(config: ClusterConfig) -> Arc<Cluster> {
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(config)).await.unwrap();
    Arc::new(cluster.unwrap_or_else(|error| panic!("{error}")))
}

/// Calls `act` with a cluster, in a thread that may block, because this may take a while.
pub(crate) async fn to<T: Send + 'static>(
    cluster: &Arc<Cluster>,
    act: impl FnOnce(&Cluster) -> Result<T, kafka_cluster::Error> + Send + 'static,
) -> T {
    let cluster = cluster.clone();
    let done = tokio::task::spawn_blocking(move || act(&cluster)).await.unwrap();
    done.unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the broker that leads a partition, or that coordinates a group or a transactional id, as
/// soon as there is one. `ask` says which of them it is.
pub(crate) async fn broker_in_charge(
    cluster: &Arc<Cluster>,
    ask: impl Fn(&Cluster) -> std::io::Result<Option<i32>> + Clone + Send + 'static,
) -> i32 {
    let mut found = None;
    eventually("a broker is in charge", async || {
        let (cluster, ask) = (cluster.clone(), ask.clone());
        found = tokio::task::spawn_blocking(move || ask(&cluster)).await.unwrap().ok().flatten();
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// Stops a worker, as if its process had been told to stop.
pub(crate) async fn stop(running: Running) {
    worker::stop(running).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Waits for `what`, and panics if one of the workers fails meanwhile.
pub(crate) async fn meanwhile<T>(workers: &mut [&mut Running], what: impl Future<Output = T>) -> T {
    let failed = futures_util::future::select_all(workers.iter_mut().map(|worker| Box::pin(worker.failed())));
    tokio::select! {
        biased;
        (error, number, _) = failed => panic!("worker {number}: {error}"),
        done = what => done,
    }
}
