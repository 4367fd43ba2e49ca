//! The settings of a run, and the scenario `mixed`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kafka_cluster::{Cluster, ClusterConfig};
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe_broker::{BrokerError, SharedBroker, TopicConfig};
use tokio::task::spawn_blocking;

use crate::chance::Chance;
use crate::crew::{Crew, SESSION};
use crate::input::Input;
use crate::program::{EVENTS, PARTITIONS};
use crate::report::Report;
use crate::verdict::{Rule, Verdict};
use crate::worker::{Program, beside};
use crate::{Result, brokers};

/// The number of workers.
pub const WORKERS: usize = 3;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The time during which workers and brokers have faults.
    pub time: Duration,
    /// The seed of all random decisions.
    pub seed: u64,
    /// The approximate number of events per second.
    pub rate: u64,
    /// The guarantee that the run is judged by.
    pub rule: Rule,
    /// The folder for the workers' folders and logs.
    pub folder: PathBuf,
}

/// Starts a cluster of three brokers.
///
/// # Errors
/// When the brokers do not start.
pub async fn cluster() -> Result<Arc<Cluster>> {
    let started = spawn_blocking(|| Cluster::start(ClusterConfig::three())).await?;
    Ok(Arc::new(started?))
}

/// Connects this process to the cluster.
///
/// # Errors
/// When the cluster cannot be reached.
pub async fn connect(cluster: &Cluster) -> Result<SharedBroker, BrokerError> {
    KafkaBroker::connect(KafkaConfig::new(cluster.bootstrap()).patience(Duration::from_secs(180))).await
}

impl Run {
    /// Copies the data and logs of the brokers next to the workers' logs. They show which
    /// transactions were committed.
    async fn keep(&self, cluster: &Arc<Cluster>) -> Result {
        let (cluster, folder) = (cluster.clone(), self.folder.clone());
        spawn_blocking(move || {
            cluster.stop_all()?;
            for broker in cluster.brokers() {
                let place = folder.join(format!("broker-{}", broker.id()));
                let copied = std::process::Command::new("cp").arg("-r").arg(broker.data()).arg(&place).status()?;
                if !copied.success() {
                    return Err(format!("cannot copy {} to {}", broker.data().display(), place.display()).into());
                }
                std::fs::copy(broker.log(), place.with_extension("log"))?;
            }
            Ok(())
        })
        .await?
    }

    /// Runs the scenario `mixed`: the program of this crate, with faults of all kinds.
    ///
    /// # Errors
    /// When the run itself goes wrong, or is not done in time.
    pub async fn mixed(&self, report: &Report) -> Result<Verdict> {
        let cluster = cluster().await?;
        let broker = connect(&cluster).await?;
        broker.create_topic(TopicConfig::new(EVENTS, PARTITIONS)).await?;
        let session = SESSION.as_millis().to_string();
        let program = Program {
            path: beside("chaos-program")?,
            bootstrap: cluster.bootstrap(),
            folder: self.folder.clone(),
            arguments: [
                "--web",
                "127.0.0.1:0",
                "--lanes",
                "2",
                "--broker-patience",
                "180",
                "--session-timeout",
                &session,
            ]
            .into_iter()
            .chain((self.rule == Rule::AtLeastOnce).then_some("--at-least-once"))
            .map(str::to_owned)
            .collect(),
        };
        let mut crew = Crew::start(&program, WORKERS)?;
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let input = Input::open(broker.clone(), self.seed).await?;
        let end = async {
            tokio::time::sleep(self.time).await;
            report.tell("no more faults, no more input");
            stop.store(true, Ordering::Relaxed);
            Ok(())
        };
        let workers = crew.suffer(Chance::new(self.seed, 1), &stop, report);
        let brokers = brokers::suffer(cluster.clone(), Chance::new(self.seed, 2), &stop, report);
        let input = async {
            input.run(self.rate, &stop, &sent, report).await;
            Ok(())
        };
        let begun = report;
        begun.tell("faults begin");
        tokio::try_join!(end, workers, brokers, input)?;

        report.tell(&format!("{} events were sent; the workers process what is left", sent.load(Ordering::Relaxed)));
        crew.drain(report).await?;
        report.tell("all is counted again");
        let (mut verdict, recount) = Verdict::on(&*broker, self.rule).await?;
        let tables: Vec<&str> = recount.tables.keys().copied().collect();
        report.tell("each worker is asked for the tables");
        for (copies, worker) in crew.copies(&tables, report).await?.into_iter().zip(0..) {
            for (table, rows) in &copies {
                let expected = &recount.tables[table.as_str()];
                verdict.table(&format!("{table} as worker {worker} has it"), table, expected, rows);
            }
        }
        if !verdict.is_good() {
            self.keep(&cluster).await?;
        }
        Ok(verdict)
    }
}
