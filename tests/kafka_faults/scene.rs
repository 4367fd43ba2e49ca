//! Where a fault happens: a Kafka cluster, an app of its own on it, and waits that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_cluster::{Cluster, ClusterConfig, Size};
use marlowe::{Config, KafkaBroker, KafkaConfig, RunError, Running};
use marlowe_broker::SharedBroker;

use crate::program::Program;
pub(crate) use crate::waits::{eventually, pause, within};

/// How long anything may take. Nothing needs a tenth of it; it is there so that nothing hangs.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// How long a worker may be silent: enough for a busy machine, and not too long to wait for.
pub(crate) const SESSION: Duration = Duration::from_secs(6);

/// An app on a cluster, and a client of the tests' own.
pub(crate) struct Scene {
    pub(crate) app: String,
    pub(crate) kafka: KafkaConfig,
    pub(crate) broker: SharedBroker,
}

impl Scene {
    /// On the cluster that the tests share, to which nothing may be done.
    pub(crate) async fn shared() -> Self {
        let bootstrap = tokio::task::spawn_blocking(|| kafka_cluster::shared(Size::One)).await.unwrap();
        Self::at(KafkaConfig::new(bootstrap.unwrap_or_else(|error| panic!("{error}")))).await
    }

    /// On the cluster that is set up so. Each has a name of its own.
    pub(crate) async fn at(kafka: KafkaConfig) -> Self {
        // So that `MARLOWE_KAFKA_DEBUG=cgrp` can tell why a test fails.
        let kafka = kafka.read_environment().unwrap_or_else(|error| panic!("{error}"));
        static NEXT: AtomicU64 = AtomicU64::new(0);
        log();
        let app = format!("faults-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let broker = KafkaBroker::connect(kafka.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        Self { app, kafka, broker }
    }

    /// The program, in an app of this scene's own.
    pub(crate) fn program(&self) -> Program {
        Program::new(&self.app)
    }

    /// Settings that commit often, in one lane, and serve.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().kafka(self.kafka.clone()).web(([127, 0, 0, 1], 0).into()).lanes(1);
        config.commit_interval = Duration::from_millis(50);
        config.session_timeout = SESSION;
        config
    }

    /// Starts a worker, and waits until what it has got is open.
    pub(crate) async fn start(&self, program: &Program) -> Running {
        self.start_with(program, self.config()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same with other settings.
    pub(crate) async fn start_with(&self, program: &Program, config: Config) -> Result<Running, RunError> {
        within(async {
            let mut running = program.app().start(config).await?;
            running.ready().await?;
            Ok(running)
        })
        .await
    }
}

/// Says on standard error what `RUST_LOG` asks for.
pub(crate) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    // Once for all tests.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// A cluster of a test's own.
pub(crate) async fn cluster(config: ClusterConfig) -> Arc<Cluster> {
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(config)).await.unwrap();
    Arc::new(cluster.unwrap_or_else(|error| panic!("{error}")))
}

/// Does something to a cluster, which may take a while.
pub(crate) async fn to<T: Send + 'static>(
    cluster: &Arc<Cluster>,
    act: impl FnOnce(&Cluster) -> Result<T, kafka_cluster::Error> + Send + 'static,
) -> T {
    let cluster = cluster.clone();
    let done = tokio::task::spawn_blocking(move || act(&cluster)).await.unwrap();
    done.unwrap_or_else(|error| panic!("{error}"))
}

/// Stops, as a process does that is told to.
pub(crate) async fn stop(running: Running) {
    within(running.stop()).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Ends, as a process does that crashes.
pub(crate) async fn crash(running: Running) {
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

/// Waits for something, while none of the workers may fail.
pub(crate) async fn meanwhile<T>(workers: &mut [&mut Running], what: impl Future<Output = T>) -> T {
    let failed = futures_util::future::select_all(workers.iter_mut().map(|worker| Box::pin(worker.failed())));
    tokio::select! {
        biased;
        (error, number, _) = failed => panic!("worker {number}: {error}"),
        done = what => done,
    }
}
