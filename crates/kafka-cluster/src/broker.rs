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

/// How long a broker may take to start or to stop, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A broker of a cluster. It keeps its address and its data when it is stopped or killed.
#[derive(Debug)]
pub struct Broker {
    site: Site,
    command: Command,
    process: Mutex<Option<Process>>,
}

/// Where a broker is.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) id: i32,
    /// The ports of its three listeners: for clients, brokers and controllers.
    pub(crate) ports: [u16; 3],
    /// Its folder, with its properties, data and log.
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

    /// The command that runs it.
    pub(crate) fn command(&self, release: &Release, config: &ClusterConfig) -> Command {
        let mut command = release.java(config.heap_megabytes, config.compiles);
        command.arg("kafka.Kafka").arg(self.properties());
        command
    }

    /// Whether it answers and knows at least these brokers as alive; if not, what is missing.
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

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&bytes))
    }

    /// It ended by itself. A shell that finds no program ends with 127.
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

    /// Its id, from 1 on, as clients see it in the cluster's metadata.
    pub fn id(&self) -> i32 {
        self.site.id
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.site.address()
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.site.log()
    }

    /// The folder of its topics and metadata.
    pub fn data(&self) -> PathBuf {
        self.site.folder.join("data")
    }

    /// Its process id, while it runs.
    pub fn process_id(&self) -> Option<i32> {
        self.is_running().then(|| self.process().as_ref().map(Process::id)).flatten()
    }

    /// Whether its process is there, be it paused.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Starts its process, unless it runs, and does not wait until it answers.
    pub fn launch(&self) -> Result<(), Error> {
        let mut process = self.process();
        if !process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None))) {
            *process = Some(Process::start(&self.command, &self.log()).map_err(|source| self.failed("start", source))?);
        }
        Ok(())
    }

    /// Starts it, unless it runs, and waits until it answers. It needs the majority of the cluster for that: when more
    /// brokers are down, [`launch`](Broker::launch) them all, and [wait](crate::Cluster::wait) for the cluster.
    pub fn start(&self) -> Result<(), Error> {
        self.launch()?;
        self.wait(&[self.id()])
    }

    /// Stops it cleanly (SIGTERM): it hands its partitions over before. Waits until it is gone.
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

    /// Waits for its end so long, and then kills it.
    pub(crate) fn wait_or_kill(&self, grace: Duration) -> Result<(), Error> {
        self.ends_within(grace).map(drop)
    }

    /// Whether it ends within that time; it is killed if not.
    fn ends_within(&self, time: Duration) -> Result<bool, Error> {
        let mut process = self.process();
        let Some(running) = process.as_mut() else { return Ok(true) };
        let ended = running.wait(time).map_err(|source| self.failed("wait for", source))?;
        // Kills it, if need be.
        *process = None;
        Ok(ended.is_some())
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub fn kill(&self) -> Result<(), Error> {
        self.signal("kill", Signal::KILL)?;
        self.wait_for_end()
    }

    /// Stops it where it is (SIGSTOP), and waits until it has stopped: its connections stay open, and nothing answers. For
    /// others it is lost after `broker.session.timeout.ms`.
    pub fn pause(&self) -> Result<(), Error> {
        self.on_running("pause", Process::pause)
    }

    /// Lets a paused one go on (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.signal("resume", Signal::CONT)
    }

    /// Waits until it answers and knows these brokers.
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

    /// Whether it was launched, and since then neither stopped nor killed from here.
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
