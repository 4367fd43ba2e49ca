use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use marlowe_broker::SharedBroker;
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
use tokio::time::Instant;

use super::chance::Chance;
use super::clock::SimulatedClock;
use super::cluster::{Cluster, settings};
use super::faults::Faults;
use super::link::Link;
use super::network::{Network, Process, Weather};
use super::trace::Trace;
use crate::scope::{ClientWith, WorkerWith};
use crate::surroundings::Surroundings;
use crate::{App, Client, Config, RunError, Running};

/// A simulation that runs.
pub struct Simulation {
    cluster: Cluster,
    pub(super) broker: SharedBroker,
    network: Arc<Network>,
    chance: Chance,
    base: Config,
    members: RefCell<Vec<Member>>,
    starts: Cell<u64>,
    outside: Client,
    trace: Trace,
}

/// A worker: its name and folder last, its process may not.
struct Member {
    name: String,
    folder: Option<tempfile::TempDir>,
    process: Option<Arc<Process>>,
    starts: u64,
    running: Option<Running>,
}

/// What goes wrong.
enum Wrong {
    /// For some time.
    For(Duration, Repair),
    /// A worker stops, which takes as long as it takes.
    Stops(usize),
}

/// What puts an end to a fault.
enum Repair {
    Start(usize),
    Resume(usize),
    Calm,
    Broker,
}

/// A folder for what a worker stores: in memory, where the system has such.
fn new_folder() -> tempfile::TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.unwrap_or_else(|error| panic!("a folder cannot be made: {error}"))
}

impl Simulation {
    pub(crate) async fn begin(cluster: Cluster) -> Self {
        let trace = Trace::begin();
        let chance = |stream| Chance::new(cluster.seed, stream);
        let clock = Arc::new(SimulatedClock::begin());
        let embedded =
            EmbeddedConfig { clock: clock.clone(), entropy: chance(1).entropy(), ..EmbeddedConfig::default() };
        let broker: SharedBroker = Arc::new(EmbeddedBroker::in_memory(embedded));
        let network = Arc::new(Network::new(chance(2), trace.clone()));
        let mut base = (cluster.configure)(settings());
        base.clock = clock;
        base.entropy = chance(3).entropy();
        let process = Process::new("outside", network.clone());
        let mut config = base.clone().broker(broker.clone());
        config.surroundings = Surroundings::Simulated(process);
        let outside = Client::connect(&(cluster.app)(), config).await;
        let outside = outside.unwrap_or_else(|error| panic!("the program cannot run: {error}"));
        let members = (0..cluster.workers).map(|number| Member {
            name: format!("w{number}"),
            folder: cluster.is_on_disk.then(new_folder),
            process: None,
            starts: 0,
            running: None,
        });
        Self {
            members: RefCell::new(members.collect()),
            chance: chance(4),
            starts: Cell::new(0),
            cluster,
            broker,
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

    /// Chance that follows from the seed, for the test itself.
    pub fn chance(&self) -> Chance {
        Chance::new(self.cluster.seed, 5)
    }

    /// What happened until now.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Opens a view, inbox, topic or agent, for the test: from outside, where no worker's end is in the way.
    pub fn open<W: ClientWith>(&self, with: W) -> W::Opened {
        self.outside.open(with)
    }

    /// Opens a view, inbox, global table, topic or agent on worker `number`, if it runs.
    pub fn open_on<W: WorkerWith>(&self, number: usize, with: W) -> Option<W::Opened> {
        self.members.borrow()[number].running.as_ref().map(|running| running.open(with))
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.trace.elapsed()
    }

    /// Lets time pass.
    pub async fn elapse(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// How many workers run.
    pub fn running(&self) -> usize {
        self.members.borrow().iter().filter(|member| member.running.is_some()).count()
    }

    /// How often worker `number` was started.
    pub fn starts_of(&self, number: usize) -> u64 {
        self.members.borrow()[number].starts
    }

    /// Starts worker `number`, unless it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&self, number: usize) {
        let (name, folder) = {
            let members = self.members.borrow();
            let member = &members[number];
            if member.running.is_some() {
                return;
            }
            (member.name.clone(), member.folder.as_ref().map(|folder| folder.path().to_owned()))
        };
        self.trace.note(&name, "starts");
        let nth = self.starts.replace(self.starts.get() + 1);
        let process = Process::new(&name, self.network.clone());
        let mut config = self.base.clone().broker(Arc::new(Link::new(self.broker.clone(), process.clone())));
        config.entropy = Chance::new(self.cluster.seed, 1000 + nth).entropy();
        config.surroundings = Surroundings::Simulated(process.clone());
        config.data_dir = folder;
        let app: App = (self.cluster.app)();
        match app.start(config).await {
            Ok(running) => {
                let mut members = self.members.borrow_mut();
                let member = &mut members[number];
                member.starts += 1;
                (member.process, member.running) = (Some(process), Some(running));
            }
            Err(error) => panic!("worker {name} does not start: {error}"),
        }
    }

    /// Ends worker `number` at once, as a crash does.
    pub async fn crash(&self, number: usize) {
        let Some((name, process, running)) = self.take(number) else { return };
        self.trace.note(&name, "crashes");
        process.serve_no_more();
        process.resume();
        drop(running);
        process.ended().await;
    }

    /// The same, and what it had stored is gone.
    pub async fn crash_without_store(&self, number: usize) {
        self.crash(number).await;
        let mut members = self.members.borrow_mut();
        let member = &mut members[number];
        if let Some(folder) = &mut member.folder {
            self.trace.note(&member.name, "loses its store");
            *folder = new_folder();
        }
    }

    /// Stops worker `number` as it should be.
    ///
    /// # Panics
    /// When it does not within ten minutes.
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

    /// Has worker `number` stand still until it is [resumed](Self::resume); for the others it is silent.
    pub fn pause(&self, number: usize) {
        self.at_gate(number, "stands still", Process::pause);
    }

    /// Lets it go on.
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

    fn take(&self, number: usize) -> Option<(String, Arc<Process>, Running)> {
        let mut members = self.members.borrow_mut();
        let member = &mut members[number];
        Some((member.name.clone(), member.process.take()?, member.running.take()?))
    }

    fn failed(&self, name: &str, error: &RunError) -> ! {
        self.trace.note(name, format_args!("failed: {error}"));
        panic!("worker {name} failed: {error}");
    }

    /// Lets things go wrong at random for some time. Afterwards some may still be wrong: [`settle`](Self::settle) mends it.
    pub async fn disturb(&self, faults: Faults, time: Duration) {
        let until = Instant::now() + time;
        let session = self.base.session_timeout;
        let mut repairs: Vec<(Instant, Repair)> = Vec::new();
        // Workers that start, and workers that stop: those are started later.
        let mut moving: FuturesUnordered<LocalBoxFuture<'_, Option<usize>>> = FuturesUnordered::new();
        loop {
            let next = Instant::now() + self.chance.time(Duration::from_millis(20)..Duration::from_millis(1500));
            repairs.sort_by_key(|(at, _)| *at);
            let due = repairs.first().map_or(next, |(at, _)| *at);
            tokio::select! {
                biased;
                Some(moved) = moving.next() => {
                    if let Some(number) = moved {
                        let after = self.chance.time(Duration::from_millis(1)..session);
                        repairs.push((Instant::now() + after, Repair::Start(number)));
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due.min(next).min(until)) => {}
            }
            if Instant::now() >= until {
                break;
            }
            self.look_after_failed();
            if due <= Instant::now() && !repairs.is_empty() {
                match repairs.remove(0).1 {
                    Repair::Start(number) => moving.push(Box::pin(async move {
                        self.start(number).await;
                        None
                    })),
                    Repair::Resume(number) => self.resume(number),
                    Repair::Calm => self.network.set_weather(Weather::Calm),
                    Repair::Broker => self.network.set_broker(true),
                }
                continue;
            }
            match self.wrong(faults, session).await {
                Some(Wrong::For(after, repair)) => repairs.push((Instant::now() + after, repair)),
                Some(Wrong::Stops(number)) => moving.push(Box::pin(async move {
                    self.stop(number).await;
                    Some(number)
                })),
                None => {}
            }
        }
        // Who starts or stops needs the broker for it.
        self.network.set_weather(Weather::Calm);
        self.network.set_broker(true);
        while moving.next().await.is_some() {}
    }

    /// Something goes wrong.
    async fn wrong(&self, faults: Faults, session: Duration) -> Option<Wrong> {
        let kinds = [
            (faults.crashes, 'c'),
            (faults.pauses, 'p'),
            (faults.rebalances, 'r'),
            (faults.network, 'n'),
            (faults.broker, 'b'),
        ];
        let kinds: Vec<char> = kinds.into_iter().filter(|(may, _)| *may).map(|(_, kind)| kind).collect();
        if kinds.is_empty() {
            return None;
        }
        let number = self.chance.number(0..self.cluster.workers as u64) as usize;
        let is_up = {
            let members = self.members.borrow();
            members[number].process.as_ref().is_some_and(|process| !process.is_paused())
        };
        let millis = Duration::from_millis;
        match *self.chance.one_of(&kinds) {
            'c' if is_up => {
                match faults.lost_stores && self.chance.happens(400) {
                    true => self.crash_without_store(number).await,
                    false => self.crash(number).await,
                }
                Some(Wrong::For(self.chance.time(millis(1)..session * 2), Repair::Start(number)))
            }
            'p' if is_up => {
                self.pause(number);
                Some(Wrong::For(self.chance.time(millis(10)..session * 3), Repair::Resume(number)))
            }
            'r' if is_up => Some(Wrong::Stops(number)),
            'n' => {
                self.trace.note("network", "is rough");
                self.network.set_weather(Weather::Rough);
                Some(Wrong::For(self.chance.time(millis(100)..millis(3000)), Repair::Calm))
            }
            'b' => {
                self.trace.note("broker", "is away");
                self.network.set_broker(false);
                Some(Wrong::For(self.chance.time(millis(50)..session), Repair::Broker))
            }
            _ => None,
        }
    }

    /// No fault of a simulation is a worker's end.
    fn look_after_failed(&self) {
        for member in self.members.borrow_mut().iter_mut() {
            if let Some(error) = member.running.as_mut().and_then(Running::failure) {
                self.failed(&member.name, &error);
            }
        }
    }

    /// Puts an end to all faults, starts all workers, and waits until all inputs are processed to their end; then each timer
    /// fires once more.
    ///
    /// # Panics
    /// When a worker has failed, or if it is not done within a (simulated) hour.
    pub async fn settle(&self) {
        self.look_after_failed();
        self.trace.note("network", "is calm");
        self.network.set_weather(Weather::Calm);
        self.network.set_broker(true);
        for number in 0..self.cluster.workers {
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
