//! The process of a worker.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Result;

/// A program file, and the settings that all of its workers have in common.
#[derive(Clone, Debug)]
pub struct Program {
    /// The path of the file.
    pub path: PathBuf,
    /// The bootstrap servers of the cluster, as HOST:PORT,HOST:PORT.
    pub bootstrap: String,
    /// The folder for the folders and outputs of the workers.
    pub folder: PathBuf,
    /// The arguments of each worker.
    pub arguments: Vec<String>,
}

/// A worker, running or not. Dropping it kills its process.
#[derive(Debug)]
pub struct Worker {
    program: Program,
    number: usize,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// The program ends when this pipe closes, and therefore also when this process ends.
    _alive: Option<ChildStdin>,
}

impl Worker {
    /// Creates worker `number` of a program, which is not started yet.
    pub fn new(program: &Program, number: usize) -> Self {
        Self { program: program.clone(), number, running: None }
    }

    /// Returns the number of the worker.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Starts the worker, with `more` arguments.
    ///
    /// # Errors
    /// When the worker cannot be started.
    pub fn start(&mut self, more: &[&str]) -> Result {
        self.kill()?;
        let mut command = Command::new(&self.program.path);
        command.args(["--broker", &format!("kafka://{}", self.program.bootstrap), "--json"]);
        command.arg("--data-dir").arg(self.data()).args(&self.program.arguments).args(more);
        command
            .stdin(Stdio::piped())
            .stdout(File::create(self.out())?)
            .stderr(File::options().append(true).create(true).open(self.log())?);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.program.path.display()))?;
        let alive = child.stdin.take();
        self.running = Some(Running { child, _alive: alive });
        Ok(())
    }

    /// Sends a signal to the worker, if it runs.
    ///
    /// # Errors
    /// When the system refuses the call.
    pub fn signal(&mut self, signal: Signal) -> Result {
        if let Some(running) = &mut self.running
            && running.child.try_wait()?.is_none()
            && let Some(id) = Pid::from_raw(running.child.id() as i32)
        {
            kill_process(id, signal).map_err(io::Error::from)?;
        }
        Ok(())
    }

    /// Kills the worker, and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses the call.
    pub fn kill(&mut self) -> Result {
        if let Some(mut running) = self.running.take() {
            running.child.kill()?;
            running.child.wait()?;
        }
        Ok(())
    }

    /// Returns how the worker has ended, if it has ended by itself.
    ///
    /// # Errors
    /// When the system refuses the call.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => Ok(running.child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Waits at most `within` for the worker to end, and returns how it ended.
    ///
    /// # Errors
    /// When the system refuses the call.
    pub async fn end(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + within;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Removes the folder of the worker, as if it came back on another machine.
    ///
    /// # Errors
    /// When the system refuses the call.
    pub fn forget(&self) -> Result {
        match std::fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the worker is ready, and returns the address of its web server.
    ///
    /// # Errors
    /// When the worker ends before that, or is not ready in time.
    pub async fn ready(&mut self, within: Duration) -> Result<Option<SocketAddr>> {
        let until = Instant::now() + within;
        loop {
            let said = std::fs::read_to_string(self.out())?;
            let events: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let event = |name: &str| events.iter().find(|event| event["event"] == name);
            if let (Some(start), Some(_)) = (event("start"), event("ready")) {
                return Ok(start["web"][0].as_str().and_then(|address| address.parse().ok()));
            }
            if let Some(status) = self.ended()? {
                return Err(format!("worker {} ended with {status}: {}", self.number, self.last_words()).into());
            }
            if Instant::now() >= until {
                return Err(format!("worker {} was not ready within {within:?}", self.number).into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the last error that the worker wrote.
    pub fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.log()).unwrap_or_default();
        let last = said.lines().rfind(|line| line.contains("error")).or(said.lines().next_back());
        last.unwrap_or("it said nothing").to_owned()
    }

    fn data(&self) -> PathBuf {
        self.program.folder.join(format!("worker-{}", self.number))
    }

    fn out(&self) -> PathBuf {
        self.program.folder.join(format!("worker-{}.out", self.number))
    }

    fn log(&self) -> PathBuf {
        self.program.folder.join(format!("worker-{}.log", self.number))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The process has ended, or ends now.
        let _ = self.kill();
    }
}

/// Returns the path of a program that cargo built along with this one.
///
/// # Errors
/// When the program does not exist.
pub fn beside(path: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.parent().unwrap_or(Path::new(".")).join(path);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("{} is not built: `cargo xtask chaos` builds it", program.display()).into()),
    }
}
