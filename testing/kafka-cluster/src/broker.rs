//! One broker of a cluster: where it is, when it is ready, and what a test may do to it. The
//! operating system's side of it is in `process`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::probe;
use crate::process::Process;
use crate::release::{Release, no_java};
use crate::storage::last_lines;

/// The longest time that a broker may take to start or to stop, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A broker of a cluster. It keeps its address and its data when it is stopped or killed.
#[derive(Debug)]
pub struct Broker {
    site: Site,
    command: Command,
    process: Mutex<Option<Process>>,
}

/// The id, the ports and the folder of a broker.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) id: i32,
    /// The ports of its listeners for clients, for brokers and for controllers, in this order.
    pub(crate) ports: [u16; 3],
    /// The folder with its properties, data and log.
    pub(crate) folder: PathBuf,
}

impl Site {
    pub(crate) fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[0]).into()
    }

    pub(crate) fn internal(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[1]).into()
    }

    /// Returns the command that runs the broker.
    pub(crate) fn command(&self, release: &Release, config: &ClusterConfig) -> Command {
        let mut command = release.java(config.heap_megabytes, config.compiles);
        command.arg("kafka.Kafka").arg(self.properties());
        command
    }

    /// Checks that the broker answers clients, and that it knows at least the brokers `among` as
    /// alive.
    ///
    /// # Errors
    /// A text that says what is missing.
    pub(crate) fn ready(&self, among: &[i32]) -> Result<(), String> {
        probe::api_versions(self.address()).map_err(|error| format!("{}: {error}", self.address()))?;
        let metadata = probe::metadata(self.internal(), None);
        let known = metadata.map_err(|error| format!("{}: {error}", self.internal()))?.brokers;
        if among.iter().all(|id| known.contains(id)) {
            Ok(())
        } else {
            Err(format!("it knows the brokers {known:?}, and not yet all of {among:?}"))
        }
    }

    /// Returns the last lines of the broker's log.
    pub(crate) fn tail(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&bytes))
    }

    /// Returns the error for a broker that ended by itself. A shell that does not find the program
    /// ends with status 127, so that status means that there is no `java`.
    pub(crate) fn ended(&self, status: ExitStatus) -> Error {
        if status.code() == Some(127) {
            return no_java(std::io::ErrorKind::NotFound.into());
        }
        Error::Ended { broker: self.id, status: status.to_string(), log: self.log(), tail: self.tail() }
    }

    pub(crate) fn not_ready(&self, waited: Duration, reason: String) -> Error {
        Error::NotReady { broker: self.id, waited, reason, log: self.log(), tail: self.tail() }
    }
}

impl Broker {
    pub(crate) fn new(site: Site, release: &Release, config: &ClusterConfig) -> Broker {
        let command = site.command(release, config);
        Broker { site, command, process: Mutex::new(None) }
    }

    /// Returns the broker's id, as clients see it in the cluster's metadata. Ids start at 1.
    pub fn id(&self) -> i32 {
        self.site.id
    }

    /// Returns the address of the listener for clients.
    pub fn address(&self) -> SocketAddr {
        self.site.address()
    }

    /// Returns the path of the broker's log.
    pub fn log(&self) -> PathBuf {
        self.site.log()
    }

    /// Returns the folder with the broker's topics and metadata.
    pub fn data(&self) -> PathBuf {
        self.site.folder.join("data")
    }

    /// Returns the broker's process id, or `None` if the broker does not run.
    pub fn process_id(&self) -> Option<i32> {
        self.is_running().then(|| self.process().as_ref().map(Process::id)).flatten()
    }

    /// Returns whether the broker's process exists. A paused process exists too.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Starts the broker's process, unless it runs. Does not wait until the broker answers.
    ///
    /// # Errors
    /// [`Error::Process`] when the process cannot be started.
    pub fn launch(&self) -> Result<(), Error> {
        let mut process = self.process();
        if !process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None))) {
            *process = Some(Process::start(&self.command, &self.log()).map_err(|source| self.failed("start", source))?);
        }
        Ok(())
    }

    /// Starts the broker, unless it runs, and waits until it answers.
    ///
    /// A broker answers only while the majority of the cluster runs. When several brokers are down,
    /// [`launch`](Broker::launch) all of them, and [wait](crate::Cluster::wait) for the cluster.
    ///
    /// # Errors
    /// [`Error::Process`] when the process cannot be started, [`Error::Ended`] when it ends by
    /// itself, [`Error::Program`] when there is no `java`, and [`Error::NotReady`] when the broker
    /// does not answer within two minutes.
    pub fn start(&self) -> Result<(), Error> {
        self.launch()?;
        self.wait(&[self.id()])
    }

    /// Stops the broker cleanly (SIGTERM), and waits until its process has ended. The broker hands
    /// its partitions over first.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the broker does not run, [`Error::Process`] when its process
    /// cannot be signalled or waited for, and [`Error::NotStopped`] when it does not end within two
    /// minutes. It is killed in that case.
    pub fn stop(&self) -> Result<(), Error> {
        self.ask_to_stop()?;
        self.wait_for_end()
    }

    pub(crate) fn ask_to_stop(&self) -> Result<(), Error> {
        self.signal("stop", Signal::TERM)
    }

    pub(crate) fn wait_for_end(&self) -> Result<(), Error> {
        if self.ends_within(PATIENCE)? {
            return Ok(());
        }
        let (broker, waited) = (self.id(), PATIENCE);
        Err(Error::NotStopped { broker, waited, log: self.log(), tail: self.site.tail() })
    }

    /// Waits at most `grace` for the broker to end, and then kills it.
    pub(crate) fn wait_or_kill(&self, grace: Duration) -> Result<(), Error> {
        self.ends_within(grace).map(drop)
    }

    /// Waits at most `time` for the broker to end, and then kills it. Returns whether it ended in
    /// time.
    fn ends_within(&self, time: Duration) -> Result<bool, Error> {
        let mut process = self.process();
        let Some(running) = process.as_mut() else { return Ok(true) };
        let ended = running.wait(time).map_err(|source| self.failed("wait for", source))?;
        // Dropping the process kills it, if it still runs.
        *process = None;
        Ok(ended.is_some())
    }

    /// Kills the broker (SIGKILL), and waits until its process has ended.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the broker does not run, and [`Error::Process`] when its process
    /// cannot be signalled or waited for.
    pub fn kill(&self) -> Result<(), Error> {
        self.signal("kill", Signal::KILL)?;
        self.wait_for_end()
    }

    /// Stops the broker's process where it is (SIGSTOP), and waits until all its threads have
    /// stopped.
    ///
    /// The broker's connections stay open, but nothing answers on them. The other brokers treat it
    /// as lost after `broker.session.timeout.ms` (3 s by default).
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the broker does not run, and [`Error::Process`] when its process
    /// cannot be signalled.
    pub fn pause(&self) -> Result<(), Error> {
        self.on_running("pause", Process::pause)
    }

    /// Continues a paused broker (SIGCONT).
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the broker does not run, and [`Error::Process`] when its process
    /// cannot be signalled.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal("resume", Signal::CONT)
    }

    /// Waits until the broker answers and knows the brokers `among`.
    pub(crate) fn wait(&self, among: &[i32]) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = match self.process().as_mut() {
                Some(process) => process.ended().map_err(|source| self.failed("wait for", source))?,
                None => return Err(Error::NotRunning { action: "wait for", broker: self.id() }),
            };
            if let Some(status) = ended {
                return Err(self.site.ended(status));
            }
            let Err(reason) = self.site.ready(among) else { return Ok(()) };
            if Instant::now() >= until {
                return Err(self.site.not_ready(PATIENCE, reason));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Returns whether the broker was launched, and was neither stopped nor killed by a call since
    /// then.
    pub(crate) fn is_wanted(&self) -> bool {
        self.process().is_some()
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    fn signal(&self, action: &'static str, signal: Signal) -> Result<(), Error> {
        self.on_running(action, |process| process.signal(signal))
    }

    fn on_running(
        &self,
        action: &'static str,
        act: impl FnOnce(&mut Process) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let broker = self.id();
        let mut process = self.process();
        let running = process.as_mut().ok_or(Error::NotRunning { action, broker })?;
        if running.ended().map_err(|source| self.failed(action, source))?.is_some() {
            return Err(Error::NotRunning { action, broker });
        }
        act(running).map_err(|source| self.failed(action, source))
    }

    fn failed(&self, action: &'static str, source: std::io::Error) -> Error {
        Error::Process { action, broker: self.id(), source }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
