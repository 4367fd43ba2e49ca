//! One run of a system, as a group of its own.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::PeersResult;
use crate::answer::{Difference, given, truth};
use crate::build;
use crate::counts::Key;
use crate::event::Event;
use crate::feed::Feed;
use crate::kafka::{Cleanup, Kafka, PARTITIONS};
use crate::machine::Machine;
use crate::outcome::Setback;
use crate::progress::{Places, Progress, is_past};
use crate::setting::Setting;
use crate::system::System;
use crate::team::Team;
use crate::work::{Job, Store, Work};
use crate::worker::Worker;

/// The time between two commits in all systems, in milliseconds.
pub(crate) const COMMIT_MS: u32 = 100;

/// The session timeout of all groups, in milliseconds.
pub(crate) const SESSION_MS: u32 = 10_000;

/// The time between two looks at the progress of a group.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// A system with the size of its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Contestant {
    pub(crate) system: System,
    pub(crate) cache_mb: u32,
}

/// The moment at which the measurement of a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The first events.
    AtOnce,
    /// The time when the processes have shared the partitions out.
    Gathered,
}

/// One run: a system at a work, as a group of its own.
pub(crate) struct Trial<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) kafka: &'a Kafka,
    pub(crate) machine: &'a Machine,
    pub(crate) contestant: Contestant,
    pub(crate) work: Work,
    /// The number of processes, and of threads in each.
    pub(crate) processes: (usize, usize),
    /// The moment at which the measurement begins.
    pub(crate) begin: Begin,
    /// The time between two commits, in milliseconds.
    pub(crate) commit_ms: u32,
    /// The file that callgrind writes, if the program runs under it.
    pub(crate) callgrind: Option<PathBuf>,
    /// The group, which no other run has.
    pub(crate) group: String,
    begun: Instant,
}

impl<'a> Trial<'a> {
    /// Prepares run `number`. The system gets the first cores. Kafka and the harness get the
    /// others, if there are any.
    pub(crate) fn new(
        setting: &'a Setting,
        kafka: &'a Kafka,
        machine: &'a Machine,
        contestant: Contestant,
        work: Work,
        number: usize,
    ) -> PeersResult<Self> {
        kafka.share_cores(&machine.other_cores(work.cores))?;
        let group = format!("p{number:04}-{}", contestant.system.name());
        let processes = contestant.system.processes(work.cores);
        let trial = Self {
            setting,
            kafka,
            machine,
            contestant,
            work,
            processes,
            begin: Begin::AtOnce,
            commit_ms: COMMIT_MS,
            callgrind: None,
            group,
            begun: Instant::now(),
        };
        if work.job.of_program() == "pass" {
            kafka.create(&trial.out(), PARTITIONS, Cleanup::Delete)?;
        }
        Ok(trial)
    }

    pub(crate) fn system(&self) -> System {
        self.contestant.system
    }

    /// Returns the topic that `pass` writes to.
    pub(crate) fn out(&self) -> String {
        format!("{}-out", self.group)
    }

    /// Returns the folder that worker `number` writes to.
    fn worker_folder(&self, number: usize) -> PathBuf {
        self.setting.workshop().join("runs").join(&self.group).join(number.to_string())
    }

    /// Returns the folder of the tables of worker `number`.
    fn state(&self, number: usize) -> PathBuf {
        self.worker_folder(number).join("state")
    }

    /// Returns the space of the first worker's tables on disk, in megabytes, if they are there.
    pub(crate) fn table_mb(&self) -> Option<f64> {
        (self.work.store == Store::Disk).then(|| blocks(&self.state(0)) as f64 * 512.0 / 1e6)
    }

    /// Starts the system's processes.
    pub(crate) fn start(&self, inputs: &[String], http: Option<u16>) -> PeersResult<Team> {
        let (processes, threads) = self.processes;
        let cores = self.machine.cores(0, self.work.cores);
        let workers: PeersResult<_> =
            (0..processes).map(|number| self.worker(number, threads, &cores, inputs, http)).collect();
        workers.map(Team::of)
    }

    /// Starts worker `number`, with a folder of its own.
    pub(crate) fn worker(
        &self,
        number: usize,
        threads: usize,
        cores: &str,
        inputs: &[String],
        http: Option<u16>,
    ) -> PeersResult<Worker> {
        let folder = self.worker_folder(number);
        let mut program = build::program(self.setting, self.system());
        program
            .arg(self.work.job.of_program())
            .args(["--brokers", &self.kafka.brokers()])
            .args(["--group", &self.group])
            .args(["--guarantee", self.work.guarantee.name()])
            .args(["--store", self.system().store(&self.work).name()])
            .arg("--dir")
            .arg(self.state(number))
            .args(["--threads", &threads.to_string()])
            .args(["--commit-ms", &self.commit_ms.to_string()])
            .args(["--cache-mb", &self.contestant.cache_mb.to_string()])
            .args(["--session-ms", &SESSION_MS.to_string()])
            .args(["--out", &self.out()]);
        if let Some((events, others)) = inputs.split_first() {
            program.args(["--events", events]);
            if self.work.job == Job::Shared {
                program.args(["--others", &others.join(",")]);
            }
        }
        if let Some(port) = http {
            program.args(["--http", &port.to_string()]);
        }
        match &self.callgrind {
            None => Worker::start(&program, cores, &folder),
            Some(out) => Worker::start(&build::under_callgrind(&program, out), cores, &folder),
        }
    }

    /// Waits until the group's commits have reached all of `wanted`, and returns the time of that.
    pub(crate) fn wait_for(
        &self,
        team: &mut Team,
        progress: &Progress,
        wanted: &Places,
        what: &str,
    ) -> Result<Instant, Setback> {
        loop {
            let places = progress.now()?;
            let now = Instant::now();
            if is_past(&places, wanted) {
                return Ok(now);
            }
            team.usage()?;
            self.check_patience(what)?;
            std::thread::sleep(LOOK);
        }
    }

    /// Checks whether the run may go on.
    ///
    /// # Errors
    /// When the run has taken too long. `what` says how far it was.
    pub(crate) fn check_patience(&self, what: &str) -> Result<(), Setback> {
        let patience = self.setting.patience();
        if self.begun.elapsed() > patience { Err(Setback::late(patience, what)) } else { Ok(()) }
    }

    /// Compares the answer in Kafka with the events of the feeds and `extra`. Returns the number of
    /// surplus counts, if the guarantee allows them.
    pub(crate) fn check(&self, feeds: &[Feed], extra: &[Event]) -> Result<u64, Setback> {
        // The system has ended, so its cores are free.
        self.kafka.share_cores(&self.machine.cores(0, self.machine.cores))?;
        let mut truth = truth(self.work.job, feeds);
        for event in extra {
            *truth.get_mut(Key::Page(event.page)) += 1;
        }
        let given = given(self.kafka, self.system(), &self.group, self.work.job, &self.out())?;
        let difference = Difference::between(&truth, &given);
        if difference.breaks(self.work.guarantee) {
            return Err(Setback::Wrong(difference.to_string()));
        }
        Ok(difference.over)
    }
}

/// Returns the number of blocks of 512 bytes that all files in a folder take. A file with holes
/// takes less than its length.
fn blocks(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => blocks(&entry.path()),
        Ok(metadata) => metadata.blocks(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // Leftovers only take space on the disk.
        let _ = self.kafka.delete_topics_of(&self.group);
        for number in 0..self.processes.0.max(2) {
            let _ = std::fs::remove_dir_all(self.state(number));
        }
    }
}
