//! [`Simulation`]: a simulated cluster at work, and the faults that a test can cause in it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select};
use marlowe_broker::SharedBroker;
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

use super::chance::Chance;
use super::clock::{SimulatedClock, WorkerClock};
use super::cluster::{Cluster, settings};
use super::disk::Disk;
use super::link::Link;
use super::network::{Process, SimulatedHost, SimulatedNetwork, Weather};
use super::trace::Trace;
use crate::app::App;
use crate::client::Client;
use crate::config::Config;
use crate::error::RunError;
use crate::running::Running;
use crate::scope::{ClientWith, WorkerWith};

/// A simulated cluster that is running.
pub struct Simulation {
    pub(super) cluster: Cluster,
    pub(super) broker: SharedBroker,
    embedded: Arc<EmbeddedBroker>,
    pub(super) network: Arc<SimulatedNetwork>,
    pub(super) chance: Chance,
    /// Chance that decides about clocks only.
    pub(super) clock_chance: Chance,
    pub(super) base: Config,
    /// The name of the program's app, which is also the group's name.
    pub(super) app: Arc<str>,
    members: RefCell<Vec<Member>>,
    starts: Cell<u64>,
    outside: Client,
    pub(super) trace: Trace,
}

/// A worker of the cluster. Its name, clock and disk survive a crash. Its process may not.
struct Member {
    name: String,
    clock: Arc<WorkerClock>,
    disk: Option<Arc<Disk>>,
    process: Option<Arc<Process>>,
    starts: u64,
    running: Option<Running>,
}

impl Simulation {
    pub(crate) async fn begin(cluster: Cluster) -> Self {
        let trace = Trace::begin();
        let chance = |stream| Chance::new(cluster.seed, stream);
        let clock = Arc::new(SimulatedClock::begin());
        let embedded =
            EmbeddedConfig { clock: clock.clone(), entropy: chance(1).entropy(), ..EmbeddedConfig::default() };
        let embedded = Arc::new(EmbeddedBroker::in_memory(embedded));
        let broker: SharedBroker = embedded.clone();
        let network = Arc::new(SimulatedNetwork::new(chance(2), trace.clone()));
        let mut base = (cluster.configure)(settings());
        base.clock = clock;
        base.entropy = chance(3).entropy();
        let process = Process::new("outside", network.clone(), None);
        let mut config = base.clone().broker(broker.clone());
        config.host = Arc::new(SimulatedHost(process));
        let program = (cluster.app)();
        let app = program.program.app.clone();
        let outside = Client::connect(&program, config).await;
        let outside = outside.unwrap_or_else(|error| panic!("the program cannot run: {error}"));
        let members = (0..cluster.workers).map(|number| {
            let name = format!("w{number}");
            let disk = |name: &str| Arc::new(Disk::new(name, chance(100 + number as u64), trace.clone()));
            let disk = cluster.is_on_disk.then(|| disk(&name));
            let clock = Arc::new(WorkerClock::new(base.clock.clone()));
            Member { name, clock, disk, process: None, starts: 0, running: None }
        });
        Self {
            app,
            members: RefCell::new(members.collect()),
            chance: chance(4),
            clock_chance: chance(6),
            starts: Cell::new(0),
            cluster,
            broker,
            embedded,
            network,
            base,
            outside,
            trace,
        }
    }

    pub(crate) async fn start_all(&self) {
        for number in 0..self.cluster.workers {
            self.start(number).await;
        }
    }

    /// Returns chance that follows from the seed, for use by the test.
    pub fn chance(&self) -> Chance {
        Chance::new(self.cluster.seed, 5)
    }

    /// Returns the trace of what has happened until now.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Opens a view, inbox, topic or agent for the test. It is opened outside of the workers, so no
    /// worker's end affects it.
    pub fn open<W: ClientWith>(&self, with: W) -> W::Opened {
        self.outside.open(with)
    }

    /// Opens a view, inbox, global table, topic or agent on worker `number`. Returns `None` if the
    /// worker is not running.
    pub fn open_on<W: WorkerWith>(&self, number: usize, with: W) -> Option<W::Opened> {
        self.members.borrow()[number].running.as_ref().map(|running| running.open(with))
    }

    /// Returns the simulated time since the start.
    pub fn elapsed(&self) -> Duration {
        self.trace.elapsed()
    }

    /// Lets the time `time` pass.
    pub async fn elapse(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Makes the broker compact its topics, and remove tombstones whose retention is over.
    ///
    /// # Panics
    /// If the broker fails.
    pub async fn clean(&self) {
        self.embedded.clean().await.unwrap_or_else(|error| panic!("the broker does not clean its topics: {error}"));
    }

    /// Returns the number of workers that are running.
    pub fn running(&self) -> usize {
        self.members.borrow().iter().filter(|member| member.running.is_some()).count()
    }

    /// Returns how often worker `number` was started.
    pub fn starts_of(&self, number: usize) -> u64 {
        self.members.borrow()[number].starts
    }

    pub(super) fn name_of(&self, number: usize) -> String {
        self.members.borrow()[number].name.clone()
    }

    /// Starts worker `number`, unless it is running.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(&self, number: usize) {
        if let Err(error) = self.start_with(number, (self.cluster.app)()).await {
            panic!("worker {} does not start: {error}", self.name_of(number));
        }
    }

    /// Starts worker `number` with the program `app`, unless it is running. This can be another
    /// version of the cluster's program, as in the middle of a deployment. At its next start the
    /// worker has the cluster's program again.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_with(&self, number: usize, app: App) -> Result<(), RunError> {
        let (name, clock, disk) = {
            let members = self.members.borrow();
            let member = &members[number];
            if member.running.is_some() {
                return Ok(());
            }
            (member.name.clone(), member.clock.clone(), member.disk.clone())
        };
        self.trace.note(&name, "starts");
        let nth = self.starts.replace(self.starts.get() + 1);
        let process = Process::new(&name, self.network.clone(), disk.clone());
        let mut config = self.base.clone().broker(Arc::new(Link::new(self.broker.clone(), process.clone())));
        config.entropy = Chance::new(self.cluster.seed, 1000 + nth).entropy();
        config.clock = clock;
        config.host = Arc::new(SimulatedHost(process.clone()));
        config.data_dir = disk.map(|disk| disk.folder().to_owned());
        let running = app.start(config).await?;
        let mut members = self.members.borrow_mut();
        let member = &mut members[number];
        member.starts += 1;
        (member.process, member.running) = (Some(process), Some(running));
        Ok(())
    }

    /// Ends worker `number` at once, as a crash does.
    pub async fn crash(&self, number: usize) {
        let Some((name, process, running)) = self.take(number) else { return };
        self.trace.note(&name, "crashes");
        process.crash();
        drop(running);
        process.ended().await;
    }

    /// Crashes worker `number`, and removes its stores.
    pub async fn crash_without_store(&self, number: usize) {
        self.crash(number).await;
        let mut members = self.members.borrow_mut();
        let member = &mut members[number];
        if let Some(disk) = &mut member.disk {
            self.trace.note(&member.name, "loses its store");
            let chance = Chance::of_seed(self.chance.number(0..u64::MAX));
            *disk = Arc::new(Disk::new(&member.name, chance, self.trace.clone()));
        }
    }

    /// Crashes worker `number`, as when its machine loses power: of what was written to its stores
    /// and not synced, only parts have reached the disk.
    pub async fn lose_power(&self, number: usize) {
        self.crash(number).await;
        if let Some(disk) = &self.members.borrow()[number].disk {
            disk.lose_power();
        }
    }

    /// Makes the disk of worker `number` slow: now and then a write to a store takes up to 300 ms,
    /// and its sync up to a second.
    pub fn slow_disk(&self, number: usize) {
        self.set_slow(number, true);
    }

    /// Makes the disk of worker `number` as fast as before.
    pub fn fast_disk(&self, number: usize) {
        self.set_slow(number, false);
    }

    /// Sets the clock of worker `number` to `ahead_millis` milliseconds ahead of the right time, or
    /// behind it if the number is negative. The setting stays when the worker ends and starts
    /// again.
    pub fn set_clock(&self, number: usize, ahead_millis: i64) {
        let members = self.members.borrow();
        self.trace.note(&members[number].name, format_args!("has a clock that is {ahead_millis} ms ahead"));
        members[number].clock.set(ahead_millis);
    }

    fn set_slow(&self, number: usize, is_slow: bool) {
        if let Some(disk) = &self.members.borrow()[number].disk {
            disk.set_slow(is_slow);
        }
    }

    /// Stops worker `number` cleanly.
    ///
    /// # Panics
    /// If it fails to stop, or does not stop within ten minutes.
    pub async fn stop(&self, number: usize) {
        let Some((name, process, running)) = self.take(number) else { return };
        self.trace.note(&name, "is stopped");
        process.resume();
        let stopped = tokio::time::timeout(Duration::from_secs(600), running.stop()).await;
        process.serve_no_more();
        self.trace.note(&name, "has stopped");
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&name, &error),
            Err(_) => panic!("worker {name} does not stop"),
        }
    }

    /// Makes worker `number` stand still until it is [resumed](Self::resume). The others see it as
    /// silent.
    pub fn pause(&self, number: usize) {
        self.at_gate(number, "stands still", Process::pause);
    }

    /// Lets worker `number` go on.
    pub fn resume(&self, number: usize) {
        self.at_gate(number, "goes on", Process::resume);
    }

    fn at_gate(&self, number: usize, what: &str, act: impl FnOnce(&Process)) {
        let members = self.members.borrow();
        if let Some(process) = &members[number].process {
            self.trace.note(&members[number].name, what);
            act(process);
        }
    }

    /// Returns true if worker `number` is running and does not stand still.
    pub(super) fn is_up(&self, number: usize) -> bool {
        let members = self.members.borrow();
        members[number].process.as_ref().is_some_and(|process| !process.is_paused())
    }

    fn take(&self, number: usize) -> Option<(String, Arc<Process>, Running)> {
        let mut members = self.members.borrow_mut();
        let member = &mut members[number];
        Some((member.name.clone(), member.process.take()?, member.running.take()?))
    }

    fn failed(&self, name: &str, error: &RunError) -> ! {
        self.trace.note(name, format_args!("failed: {error}"));
        panic!("worker {name} failed: {error}");
    }

    /// Panics if a worker has failed. No simulated fault may make a worker fail.
    pub(super) fn look_after_failed(&self) {
        for member in self.members.borrow_mut().iter_mut() {
            if let Some(error) = member.running.as_mut().and_then(Running::failure) {
                self.failed(&member.name, &error);
            }
        }
    }

    /// Ends all faults, starts all workers, and waits until all inputs are processed to their end.
    /// Then each timer fires once more.
    ///
    /// # Panics
    /// If a worker has failed, or if this takes more than a simulated hour.
    pub async fn settle(&self) {
        self.look_after_failed();
        self.trace.note("network", "is calm");
        self.network.set_weather(Weather::Calm);
        self.network.set_broker(true);
        for number in 0..self.cluster.workers {
            self.members.borrow()[number].clock.set(0);
            self.fast_disk(number);
            self.resume(number);
            self.start(number).await;
        }
        let mut all: Vec<(usize, Running)> = Vec::new();
        for (number, member) in self.members.borrow_mut().iter_mut().enumerate() {
            all.extend(member.running.take().map(|running| (number, running)));
        }
        let drains = join_all(all.iter_mut().map(|(_, running)| running.drain()));
        let patience = Box::pin(tokio::time::sleep(Duration::from_secs(3600)));
        let drained = match select(drains, patience).await {
            futures_util::future::Either::Left((drained, _)) => Some(drained),
            futures_util::future::Either::Right(_) => None,
        };
        for (number, running) in all {
            self.members.borrow_mut()[number].running = Some(running);
        }
        for error in drained.unwrap_or_else(|| panic!("not all is processed within an hour")) {
            error.unwrap_or_else(|error| self.failed("in a drain", &error));
        }
        self.look_after_failed();
        self.trace.note("all", "is processed");
    }

    pub(crate) async fn end(&self) {
        for number in 0..self.cluster.workers {
            self.crash(number).await;
        }
    }
}
