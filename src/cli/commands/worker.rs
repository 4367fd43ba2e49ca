//! The command `worker`: runs the program until it is interrupted, drained or fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::banner::Banner;
use crate::cli::bars::Bar;
use crate::cli::console::{Console, Style};
use crate::cli::error::CliError;
use crate::cli::interruption::Interruption;
use crate::config::Config;
use crate::error::RunError;
use crate::program::Program;
use crate::running::Running;
use crate::topology::AgentRole;
use crate::web::WebRoutes;

/// The time that workers have to stop after one of them failed.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// The end of a worker's run, if nobody interrupts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// It runs forever.
    Stopped,
    /// It runs until every input is processed to its end.
    Drained,
}

/// The command `worker`.
pub(crate) struct WorkerRun {
    pub(crate) program: Arc<Program>,
    pub(crate) web: WebRoutes,
    pub(crate) config: Config,
    pub(crate) until: Until,
    pub(crate) version: Option<String>,
    pub(crate) console: Console,
    pub(crate) bars: MultiProgress,
}

/// An event in the life of a worker, which is printed.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Happened {
    Ready { seconds: f64 },
    Drained(Drained),
    Stopped { seconds: f64 },
}

#[derive(Serialize)]
struct Drained {
    seconds: f64,
    /// The number of events that the program's agents handled, in total and by agent.
    events: u64,
    agents: BTreeMap<Arc<str>, u64>,
}

impl WorkerRun {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let begun = Instant::now();
        let interruption = Interruption::listen();
        let mut running = tokio::select! {
            biased;
            () = interruption.came() => return Ok(()),
            started = Running::start(self.program.clone(), self.web.clone(), &self.config) => started?,
        };
        let banner = Banner::of(&running, &self.config, self.version.clone());
        self.console.answer(&banner, || banner.text(&self.console));

        let worked = tokio::select! {
            biased;
            () = interruption.came() => Ok(None),
            worked = self.work(&mut running, begun) => worked,
        };
        let drained = match worked {
            Ok(drained) => drained,
            Err(error) => {
                // The command fails with this error. The other workers commit what they have in
                // flight, if they can.
                let _ = tokio::time::timeout(STOP_WITHIN, running.stop()).await;
                return Err(error.into());
            }
        };
        running.run_until(async {}).await?;
        match drained {
            Some(drained) => self.say(&Happened::Drained(drained)),
            None => {
                if self.until == Until::Drained {
                    tracing::warn!("stopped before every input was processed to its end");
                }
                self.say(&Happened::Stopped { seconds: begun.elapsed().as_secs_f64() });
            }
        }
        Ok(())
    }

    async fn work(&self, running: &mut Running, begun: Instant) -> Result<Option<Drained>, RunError> {
        let progress: Vec<_> = running.workers.iter().map(|worker| worker.progress.clone()).collect();
        let bar = Bar::new(&self.bars, "restoring", "changes");
        tokio::select! {
            ready = running.ready() => ready?,
            () = bar.watch_restore(&progress) => {}
        }
        drop(bar);
        self.say(&Happened::Ready { seconds: begun.elapsed().as_secs_f64() });
        match self.until {
            Until::Stopped => Err(running.failed().await),
            Until::Drained => {
                let bar = Bar::new(&self.bars, "draining", "records");
                running.drain_watched(|progress| bar.show(progress)).await?;
                Ok(Some(Drained::of(running, begun)))
            }
        }
    }

    fn say(&self, happened: &Happened) {
        self.console.answer(happened, || {
            self.console.paint(
                Style::Faint,
                &match happened {
                    Happened::Ready { seconds } => format!("ready after {seconds:.1} s"),
                    Happened::Drained(Drained { seconds, events, .. }) => {
                        let rate = *events as f64 / seconds.max(0.001);
                        format!("drained: {events} events in {seconds:.1} s ({rate:.0} events/s)")
                    }
                    Happened::Stopped { seconds } => format!("stopped after {seconds:.1} s"),
                },
            )
        });
    }
}

impl Drained {
    fn of(running: &Running, begun: Instant) -> Self {
        let mut agents: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let declared = running.shared.topology.graph.agents.iter().filter(|agent| agent.role == AgentRole::Declared);
        for agent in declared {
            agents.insert(agent.name.clone(), 0);
        }
        for worker in &running.workers {
            for (agent, handled) in worker.metrics.handled() {
                if let Some(count) = agents.get_mut(&agent) {
                    *count += handled;
                }
            }
        }
        Self { seconds: begun.elapsed().as_secs_f64(), events: agents.values().sum(), agents }
    }
}
