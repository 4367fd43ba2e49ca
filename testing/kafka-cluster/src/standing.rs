//! A cluster that outlives the process that started it, for `cargo xtask kafka`.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::broker::{PATIENCE, Site};
use crate::cluster::{bootstrap, lay_out};
use crate::config::{ClusterConfig, Size};
use crate::error::Error;
use crate::ports::Ports;
use crate::release::{Release, no_java, root};
use crate::version::Version;

/// A cluster that stays until it is stopped, also when the process that started it ends.
///
/// There is at most one cluster of each size, in `target/kafka/standing-1` and
/// `target/kafka/standing-3`. The file `state.json` there lists its brokers and their processes.
#[derive(Debug)]
pub struct Standing {
    folder: PathBuf,
    state: State,
    /// The lock that keeps two commands from changing the same cluster at the same time.
    _lock: File,
}

/// The choice of what happens to the data of a cluster that is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The data stays. When the cluster is started again, it has the same data and the same
    /// addresses.
    Keep,
    /// The cluster's folder is removed.
    Remove,
}

/// The status of one broker of a standing cluster.
#[derive(Debug)]
pub struct BrokerStatus {
    /// The broker's id. Ids start at 1.
    pub id: i32,
    /// The address of its listener for clients.
    pub address: SocketAddr,
    /// Its process id, or `None` if it does not run.
    pub process_id: Option<i32>,
    /// `Ok` if the broker answers and knows all brokers. Otherwise a text that says what is
    /// missing.
    pub ready: Result<(), String>,
    /// The path of its log.
    pub log: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The version of Kafka that the cluster was created with, and that it keeps.
    #[serde(default)]
    version: Version,
    brokers: Vec<StandingBroker>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StandingBroker {
    id: i32,
    ports: [u16; 3],
    /// The id of the process that was started last. The command line of the process with this id
    /// tells whether it is still the broker.
    process_id: Option<i32>,
}

impl Standing {
    /// Returns the cluster of this size, if there is one. It may be stopped, with its data kept.
    /// Waits while another command works on it.
    ///
    /// # Errors
    /// [`Error::File`] when the cluster's lock or state cannot be read.
    pub fn find(size: Size) -> Result<Option<Standing>, Error> {
        Standing::find_in(&root(), size)
    }

    /// Creates a cluster with new storage. Its brokers do not run yet.
    ///
    /// # Errors
    /// When Kafka cannot be installed, no ports are free, or a file cannot be written.
    pub fn new(size: Size, version: &Version) -> Result<Standing, Error> {
        Standing::new_in(&root(), size, version)
    }

    fn find_in(root: &Path, size: Size) -> Result<Option<Standing>, Error> {
        let (folder, lock) = Standing::lock(root, size)?;
        let path = folder.join("state.json");
        match fs::read(&path) {
            Ok(bytes) => {
                let state = serde_json::from_slice(&bytes).map_err(std::io::Error::from);
                let state = state.map_err(Error::file("read", &path))?;
                Ok(Some(Standing { folder, state, _lock: lock }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    fn new_in(root: &Path, size: Size, version: &Version) -> Result<Standing, Error> {
        let release = Release::install(version)?;
        let (folder, lock) = Standing::lock(root, size)?;
        // The folder of a cluster whose creation or removal did not complete.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
        }
        let ports = Ports::take(3 * size.brokers())?;
        let sites = lay_out(&ClusterConfig::new(size), &release, &folder, ports.numbers())?;
        let broker = |site: Site| StandingBroker { id: site.id, ports: site.ports, process_id: None };
        let state = State { version: version.clone(), brokers: sites.into_iter().map(broker).collect() };
        let standing = Standing { folder, state, _lock: lock };
        standing.save()?;
        Ok(standing)
    }

    /// Starts the brokers that do not run, and waits until all brokers answer and know each other.
    /// When a broker cannot be started, the brokers that this call has started are killed.
    ///
    /// # Errors
    /// When Kafka cannot be installed, [`Error::Program`] when there is no `java`, [`Error::Ended`]
    /// when a broker ends by itself, [`Error::NotReady`] when a broker is not ready within two
    /// minutes, and [`Error::File`] when a file cannot be written.
    pub fn start(&mut self) -> Result<(), Error> {
        let release = Release::install(&self.state.version)?;
        let mut started = Vec::new();
        let done = self.launch(&release, &mut started).and_then(|()| self.wait(&mut started));
        if done.is_err() {
            for (_, child) in &mut started {
                child.kill().and_then(|()| child.wait()).ok();
            }
        }
        done
    }

    /// Stops all brokers cleanly and at the same time, and waits until they have ended.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when a broker does not end within two minutes. It is killed in that
    /// case. [`Error::Process`] when a process cannot be signalled, and [`Error::File`] when the
    /// folder cannot be removed.
    pub fn stop(self, data: Data) -> Result<(), Error> {
        let running = self.running();
        for (site, process) in &running {
            signal(site, *process, "stop", Signal::TERM)?;
        }
        let until = Instant::now() + PATIENCE;
        for (site, process) in &running {
            while is_running(site, *process) {
                if Instant::now() >= until {
                    signal(site, *process, "kill", Signal::KILL)?;
                    let (log, tail) = (site.log(), site.tail());
                    return Err(Error::NotStopped { broker: site.id, waited: PATIENCE, log, tail });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if data == Data::Remove {
            fs::remove_dir_all(&self.folder).map_err(Error::file("remove", &self.folder))?;
        }
        Ok(())
    }

    /// Returns the version of Kafka that the brokers run.
    pub fn version(&self) -> &Version {
        &self.state.version
    }

    /// Returns the brokers' addresses for clients, separated by commas.
    pub fn bootstrap(&self) -> String {
        bootstrap(&self.sites())
    }

    /// Returns whether all brokers run.
    pub fn is_running(&self) -> bool {
        self.running().len() == self.state.brokers.len()
    }

    /// Returns the folder of the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the current status of each broker.
    pub fn status(&self) -> Vec<BrokerStatus> {
        let ids: Vec<i32> = self.state.brokers.iter().map(|broker| broker.id).collect();
        let running = self.running();
        let status = |site: Site| BrokerStatus {
            id: site.id,
            address: site.address(),
            process_id: running
                .iter()
                .find(|(running, _)| running.id == site.id)
                .map(|(_, process)| process_id(*process)),
            ready: site.ready(&ids),
            log: site.log(),
        };
        self.sites().into_iter().map(status).collect()
    }

    fn launch(&mut self, release: &Release, started: &mut Vec<(Site, Child)>) -> Result<(), Error> {
        let running: Vec<i32> = self.running().into_iter().map(|(site, _)| site.id).collect();
        for site in self.sites().into_iter().filter(|site| !running.contains(&site.id)) {
            let path = site.log();
            let log = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("write", &path))?;
            let copy = log.try_clone().map_err(Error::file("write", &path))?;
            let mut command = site.command(release, &ClusterConfig::new(Size::One).long_running());
            // The broker has its own process group, so that Ctrl-C in the terminal does not end it.
            command.stdin(Stdio::null()).stdout(log).stderr(copy).process_group(0);
            let child = command.spawn().map_err(no_java)?;
            if let Some(broker) = self.state.brokers.iter_mut().find(|broker| broker.id == site.id) {
                broker.process_id = i32::try_from(child.id()).ok();
            }
            started.push((site, child));
            self.save()?;
        }
        Ok(())
    }

    fn wait(&self, started: &mut [(Site, Child)]) -> Result<(), Error> {
        let ids: Vec<i32> = self.state.brokers.iter().map(|broker| broker.id).collect();
        let until = Instant::now() + PATIENCE;
        for site in self.sites() {
            while let Err(reason) = site.ready(&ids) {
                for (site, child) in &mut *started {
                    if let Ok(Some(status)) = child.try_wait() {
                        return Err(site.ended(status));
                    }
                }
                if Instant::now() >= until {
                    return Err(site.not_ready(PATIENCE, reason));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn lock(root: &Path, size: Size) -> Result<(PathBuf, File), Error> {
        let folder = root.join(format!("standing-{}", size.brokers()));
        fs::create_dir_all(root).map_err(Error::file("create", root))?;
        let path = folder.with_extension("lock");
        let lock = File::create(&path).map_err(Error::file("create", &path))?;
        lock.lock().map_err(Error::file("lock", &path))?;
        Ok((folder, lock))
    }

    fn save(&self) -> Result<(), Error> {
        let path = self.folder.join("state.json");
        let partial = path.with_extension("partial");
        let text = serde_json::to_vec_pretty(&self.state).map_err(std::io::Error::from);
        text.and_then(|text| fs::write(&partial, text)).map_err(Error::file("write", &partial))?;
        fs::rename(&partial, &path).map_err(Error::file("write", &path))
    }

    fn sites(&self) -> Vec<Site> {
        let site = |broker: &StandingBroker| Site {
            id: broker.id,
            ports: broker.ports,
            folder: self.folder.join(format!("broker-{}", broker.id)),
        };
        self.state.brokers.iter().map(site).collect()
    }

    fn running(&self) -> Vec<(Site, Pid)> {
        let process = |broker: &StandingBroker| broker.process_id.and_then(Pid::from_raw);
        let pairs = self.sites().into_iter().zip(self.state.brokers.iter().map(process));
        pairs.filter_map(|(site, process)| Some((site, process?))).filter(|(site, id)| is_running(site, *id)).collect()
    }
}

fn process_id(process: Pid) -> i32 {
    process.as_raw_nonzero().get()
}

/// Returns whether `process` exists and is this broker. Its id may have been given to another
/// program.
fn is_running(site: &Site, process: Pid) -> bool {
    let command = fs::read(format!("/proc/{}/cmdline", process_id(process))).unwrap_or_default();
    let properties = site.properties();
    command.split(|byte| *byte == 0).any(|argument| argument == properties.as_os_str().as_encoded_bytes())
}

fn signal(site: &Site, process: Pid, action: &'static str, signal: Signal) -> Result<(), Error> {
    match rustix::process::kill_process(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Error::Process { action, broker: site.id, source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::folder::Folder;

    /// A shell that kills the brokers when the test's process ends, because a standing cluster does
    /// not end with its process.
    struct Watch(Child);

    impl Watch {
        fn new(standing: &Standing) -> Watch {
            let ids = standing.running().into_iter().map(|(_, process)| process_id(process).to_string());
            let mut shell = Command::new("sh");
            shell.args(["-c", "read -r _; kill -KILL \"$@\"", "sh"]).args(ids).stdin(Stdio::piped());
            Watch(shell.spawn().expect("there is a shell"))
        }

        fn end(mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("the shell ends");
        }
    }

    #[test]
    fn a_standing_cluster_is_found_again_and_keeps_its_data() -> Result<(), Error> {
        let root = Folder::new()?;
        let find = || Standing::find_in(root.path(), Size::One);
        assert!(find()?.is_none());

        let mut standing = Standing::new_in(root.path(), Size::One, &Version::chosen()?)?;
        assert!(!standing.is_running());
        standing.start()?;
        let watch = Watch::new(&standing);
        let bootstrap = standing.bootstrap();
        drop(standing);

        let standing = find()?.expect("it is there");
        assert!(standing.is_running());
        assert_eq!(standing.bootstrap(), bootstrap);
        let status = standing.status();
        assert!(matches!(&status[..], [BrokerStatus { id: 1, process_id: Some(_), ready: Ok(()), .. }]), "{status:?}");
        watch.end();
        standing.stop(Data::Keep)?;

        let mut standing = find()?.expect("its data is there");
        assert!(!standing.is_running());
        let status = standing.status();
        assert!(matches!(&status[..], [BrokerStatus { process_id: None, ready: Err(_), .. }]), "{status:?}");
        standing.start()?;
        let watch = Watch::new(&standing);
        assert_eq!(standing.bootstrap(), bootstrap);
        watch.end();
        let folder = standing.folder().to_path_buf();
        standing.stop(Data::Remove)?;
        assert!(!folder.exists());
        assert!(find()?.is_none());
        Ok(())
    }

    #[test]
    fn another_program_with_the_same_process_id_is_not_the_broker() -> Result<(), Error> {
        let root = Folder::new()?;
        let mut standing = Standing::new_in(root.path(), Size::One, &Version::chosen()?)?;
        standing.state.brokers[0].process_id = i32::try_from(std::process::id()).ok();
        assert!(!standing.is_running());
        // If `stop` took this test's process for the broker, it would end the test here.
        standing.stop(Data::Remove)
    }
}
