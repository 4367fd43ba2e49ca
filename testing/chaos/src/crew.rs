//! The workers of a run, and their faults.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::report::Report;
use crate::worker::{Program, Worker};
use crate::{Result, copies};

/// The time after which a silent worker is expelled.
pub const SESSION: Duration = Duration::from_secs(6);

/// The time within which a worker must end when it is asked to, or become ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// The time within which all workers together must process what is left.
const DRAINED_WITHIN: Duration = Duration::from_secs(600);

/// The workers of a run.
#[derive(Debug)]
pub struct Crew {
    workers: Vec<Worker>,
}

/// A fault of a worker.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is killed, and restarted with its folder.
    Killed,
    /// It is killed, and restarted without its folder.
    KilledAndForgotten,
    /// It is paused until others have its shards, and then goes on.
    Zombie,
    /// It is asked to end, and restarted.
    Restarted,
}

impl Fault {
    fn by(chance: &Chance) -> Self {
        match chance.number(0..100) {
            0..40 => Fault::Killed,
            40..60 => Fault::KilledAndForgotten,
            60..80 => Fault::Zombie,
            _ => Fault::Restarted,
        }
    }
}

impl Crew {
    /// Starts `count` workers. The last one has a fixed instance name (static membership).
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub fn start(program: &Program, count: usize) -> Result<Self> {
        let mut crew = Self { workers: (0..count).map(|number| Worker::new(program, number)).collect() };
        for worker in &mut crew.workers {
            worker.start(&arguments(worker.number(), count))?;
        }
        Ok(crew)
    }

    /// Applies faults to the workers until `stop` is set. All of them run again at the end.
    ///
    /// # Errors
    /// When the system refuses a call.
    pub async fn suffer(&mut self, chance: Chance, stop: &AtomicBool, report: &Report) -> Result {
        while !stop.load(Ordering::Relaxed) {
            sleep(chance.millis(500..5000)).await;
            self.restart_what_ended(report)?;
            let count = self.workers.len();
            let chosen = chance.number(0..count as u64) as usize;
            let worker = &mut self.workers[chosen];
            let fault = Fault::by(&chance);
            let pause = chance.millis(0..4000);
            report.tell(&format!("worker {chosen}: {fault:?}"));
            match fault {
                Fault::Killed | Fault::KilledAndForgotten => {
                    worker.kill()?;
                    if let Fault::KilledAndForgotten = fault {
                        worker.forget()?;
                        report.count("workers killed, and without their folder");
                    } else {
                        report.count("workers killed");
                    }
                    // In some cases, the others get its shards before it is back.
                    sleep(if chance.percent(25) { SESSION + pause } else { pause }).await;
                    worker.start(&arguments(chosen, count))?;
                }
                Fault::Zombie => {
                    worker.signal(Signal::STOP)?;
                    sleep(SESSION + Duration::from_secs(2) + pause).await;
                    worker.signal(Signal::CONT)?;
                    report.count("zombies");
                }
                Fault::Restarted => {
                    worker.signal(Signal::TERM)?;
                    match worker.end(PATIENCE).await? {
                        Some(status) => tell_end(worker, status, report),
                        None => {
                            report.tell(&format!("worker {chosen} did not end within {PATIENCE:?}"));
                            report.count("workers that did not end when they were asked to");
                        }
                    }
                    worker.start(&arguments(chosen, count))?;
                    report.count("workers restarted");
                }
            }
        }
        self.restart_what_ended(report)
    }

    fn restart_what_ended(&mut self, report: &Report) -> Result {
        let count = self.workers.len();
        for worker in &mut self.workers {
            if let Some(status) = worker.ended()? {
                tell_end(worker, status, report);
                report.count("workers that ended by themselves");
                worker.start(&arguments(worker.number(), count))?;
            }
        }
        Ok(())
    }

    /// Ends all workers, and starts them again until all input is processed. Restarts those that
    /// fail.
    ///
    /// # Errors
    /// When the workers are not done in time.
    pub async fn drain(&mut self, report: &Report) -> Result {
        self.stop(report).await?;
        let count = self.workers.len();
        let drain = |number| [arguments(number, count), vec!["--drain"]].concat();
        for worker in &mut self.workers {
            worker.start(&drain(worker.number()))?;
        }
        let drained = async {
            let mut left: Vec<&mut Worker> = self.workers.iter_mut().collect();
            while !left.is_empty() {
                let mut going = Vec::new();
                for worker in left {
                    match worker.ended()? {
                        Some(status) if status.success() => {}
                        Some(status) => {
                            tell_end(worker, status, report);
                            report.count("workers that ended by themselves");
                            worker.start(&drain(worker.number()))?;
                            going.push(worker);
                        }
                        None => going.push(worker),
                    }
                }
                left = going;
                sleep(Duration::from_millis(100)).await;
            }
            Result::Ok(())
        };
        match tokio::time::timeout(DRAINED_WITHIN, drained).await {
            Ok(drained) => drained,
            Err(_) => Err(format!("the workers did not process all input within {DRAINED_WITHIN:?}").into()),
        }
    }

    /// Starts all workers again with their folders, and asks each for its copies of `tables` when
    /// it is ready.
    ///
    /// # Errors
    /// When a worker is not ready in time, or does not answer.
    pub async fn copies(&mut self, tables: &[&str], report: &Report) -> Result<Vec<copies::Copies>> {
        let count = self.workers.len();
        for worker in &mut self.workers {
            worker.start(&arguments(worker.number(), count))?;
        }
        let mut addresses = Vec::new();
        for worker in &mut self.workers {
            addresses.push(worker.ready(PATIENCE).await?.ok_or("a worker serves")?);
        }
        let mut all = Vec::new();
        for address in addresses {
            all.push(copies::of(address, tables).await?);
        }
        self.stop(report).await?;
        Ok(all)
    }

    /// Asks all workers to end, and waits until they have. Kills those that do not.
    ///
    /// # Errors
    /// When the system refuses a call.
    pub async fn stop(&mut self, report: &Report) -> Result {
        for worker in &mut self.workers {
            worker.signal(Signal::TERM)?;
        }
        for worker in &mut self.workers {
            match worker.end(PATIENCE).await? {
                Some(status) => tell_end(worker, status, report),
                None => {
                    report.tell(&format!("worker {} did not end within {PATIENCE:?}", worker.number()));
                    report.count("workers that did not end when they were asked to");
                }
            }
            worker.kill()?;
        }
        Ok(())
    }
}

/// Returns the arguments that only worker `number` of `count` has.
fn arguments(number: usize, count: usize) -> Vec<&'static str> {
    if number + 1 == count { vec!["--instance", "lasting"] } else { Vec::new() }
}

fn tell_end(worker: &Worker, status: ExitStatus, report: &Report) {
    if !status.success() {
        report.tell(&format!("worker {} ended with {status}: {}", worker.number(), worker.last_words()));
        report.count("workers that ended with an error");
    }
}
