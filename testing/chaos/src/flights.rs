//! The scenario `flights`: the example runs in three processes, and one of them is killed every
//! three seconds until all are done. Its tables must be those of a run on the embedded broker.

use std::time::Duration;

use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::Broker;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::contents::rows;
use crate::crew::SESSION;
use crate::report::Report;
use crate::scenario::{Run, WORKERS, cluster, connect};
use crate::verdict::Verdict;
use crate::worker::{Program, Worker, beside};
use crate::{Result, contents::Rows};

const TABLES: [&str; 3] = ["carriers", "airports", "totals"];

/// The time between two kills.
const KILL_EVERY: Duration = Duration::from_secs(3);

/// The time within which the workers must be done.
const DONE_WITHIN: Duration = Duration::from_secs(900);

impl Run {
    /// Runs the scenario. The feed takes about as long as `time`.
    ///
    /// # Errors
    /// When the run itself goes wrong, or is not done in time.
    pub async fn flights(&self, report: &Report) -> Result<Verdict> {
        let path = beside("examples/flights")?;
        report.tell("a run on the embedded broker");
        let embedded = self.embedded(&path).await?;
        let cluster = cluster().await?;
        let broker = connect(&cluster).await?;
        let session = SESSION.as_millis().to_string();
        // The file of flights has 336,776 rows.
        let rate = (336_776 / self.time.as_secs().max(1)).max(1).to_string();
        let program = Program {
            path,
            bootstrap: cluster.bootstrap(),
            folder: self.folder.clone(),
            arguments: [
                "--web",
                "127.0.0.1:0",
                "--drain",
                "--lanes",
                "2",
                "--rate",
                &rate,
                "--session-timeout",
                &session,
            ]
            .map(str::to_owned)
            .into(),
        };
        let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(&program, number)).collect();
        for worker in &mut workers {
            start(worker)?;
        }
        report.tell("three processes on Kafka");
        kill_until_done(&mut workers, &Chance::new(self.seed, 1), report).await?;
        report.tell("the tables are compared");
        let mut verdict = Verdict::default();
        for (table, expected) in TABLES.iter().zip(embedded) {
            let found = rows(&*broker, "flights", table).await?;
            verdict.events += expected.rows.len() as u64;
            verdict.table(&format!("table {table}"), table, &expected.rows, &found.rows);
            for misplaced in found.misplaced {
                verdict.misplaced(misplaced);
            }
        }
        Ok(verdict)
    }

    /// Returns the tables of a run on the embedded broker.
    async fn embedded(&self, path: &std::path::Path) -> Result<Vec<Rows>> {
        let folder = self.folder.join("embedded");
        let status = std::process::Command::new(path)
            .args(["--drain", "--web", "off", "--data-dir"])
            .arg(&folder)
            .stdout(std::process::Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("flights on the embedded broker ended with {status}").into());
        }
        let broker = EmbeddedBroker::open(&folder.join("broker"), EmbeddedConfig::default())?;
        let mut tables = Vec::new();
        for table in TABLES {
            tables.push(rows(&broker as &dyn Broker, "flights", table).await?);
        }
        Ok(tables)
    }
}

/// Starts a worker under its instance name. Without names, each kill would cost the others a
/// session timeout and a transaction timeout, and there would be more kills before these are over.
fn start(worker: &mut Worker) -> Result {
    let name = format!("flights-{}", worker.number());
    worker.start(&["--instance", &name])
}

async fn kill_until_done(workers: &mut [Worker], chance: &Chance, report: &Report) -> Result {
    let begun = Instant::now();
    let mut next = begun + KILL_EVERY;
    let mut left: Vec<usize> = (0..workers.len()).collect();
    while !left.is_empty() {
        if begun.elapsed() > DONE_WITHIN {
            return Err(format!("the workers were not done within {DONE_WITHIN:?}").into());
        }
        let mut going = Vec::new();
        for number in left {
            let worker = &mut workers[number];
            match worker.ended()? {
                Some(status) if status.success() => report.tell(&format!("worker {number} is done")),
                Some(status) => {
                    report.tell(&format!("worker {number} ended with {status}: {}", worker.last_words()));
                    report.count("workers that ended with an error");
                    start(worker)?;
                    going.push(number);
                }
                None => going.push(number),
            }
        }
        left = going;
        if Instant::now() >= next && !left.is_empty() {
            next += KILL_EVERY;
            let chosen = left[chance.number(0..left.len() as u64) as usize];
            workers[chosen].kill()?;
            start(&mut workers[chosen])?;
            report.count("workers killed");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
