//! A process of a system, and the resources that it uses.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};

use crate::PeersResult;
use crate::outcome::Setback;

/// The exit code of a program that cannot do the job.
const NOT_POSSIBLE: i32 = 3;

/// The time within which a worker must commit and leave.
const GRACE: Duration = Duration::from_secs(60);

/// A running process of a system. It is killed when this value is dropped.
pub(crate) struct Worker {
    child: Child,
    errors: PathBuf,
    output: PathBuf,
}

/// The resources that a worker uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time since the start, in seconds: user and system, of all its processes and
    /// threads.
    pub(crate) cpu_seconds: f64,
    /// The memory of its own now, in bytes.
    pub(crate) own_bytes: u64,
    /// The resident memory now, in bytes, mapped files included.
    pub(crate) resident_bytes: u64,
}

impl Worker {
    /// Starts a program, which may only run on `cores`. Its output goes to files in `folder`.
    pub(crate) fn start(program: &Command, cores: &str, folder: &Path) -> PeersResult<Self> {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let file = |name: &str| {
            let path = folder.join(name);
            let file = File::create(&path).map_err(|error| format!("cannot create {}: {error}", path.display()));
            file.map(|file| (file, path))
        };
        let ((output, output_path), (errors, errors_path)) = (file("stdout")?, file("stderr")?);
        let child = Command::new("taskset")
            .args(["-c", cores])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start taskset ({error}): install it (Debian: `util-linux`)"))?;
        Ok(Self { child, errors: errors_path, output: output_path })
    }

    /// Returns what the worker has used.
    ///
    /// # Errors
    /// When the worker has ended.
    pub(crate) fn usage(&mut self) -> Result<Usage, Setback> {
        if let Some(status) = self.child.try_wait()? {
            let reason = self.last_words();
            return Err(match status.code() {
                Some(NOT_POSSIBLE) => Setback::NotPossible(reason),
                _ => Setback::Failed(format!("its process ended with {status}: {reason}")),
            });
        }
        let mut usage = Usage::default();
        add_usage(self.child.id() as i32, &mut usage)?;
        Ok(usage)
    }

    /// Returns what it wrote to standard output.
    pub(crate) fn output(&self) -> PeersResult<String> {
        let text = std::fs::read(&self.output);
        let text = text.map_err(|error| format!("cannot read {}: {error}", self.output.display()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Returns the last line that it wrote to standard error.
    fn last_words(&self) -> String {
        let text = std::fs::read(&self.errors).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(|| "it did not say why".into(), |line| line.trim().chars().take(400).collect())
    }

    /// Sends SIGTERM, which asks the worker to end.
    pub(crate) fn ask_to_end(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the worker has ended. Kills it when `GRACE` is over.
    pub(crate) fn wait(&mut self) -> Result<(), Setback> {
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                // Many programs end with the code of the signal.
                let clean = status.success() || status.code() == Some(143) || status.code().is_none();
                return if clean {
                    Ok(())
                } else {
                    Err(Setback::Failed(format!("its process ended with {status}: {}", self.last_words())))
                };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        Err(Setback::Failed(format!("it did not end within {} s of SIGTERM", GRACE.as_secs())))
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        // A process that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = Pid::from_raw(self.child.id() as i32) {
            // As in `kill`.
            let _ = kill_process(id, signal);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Adds what a process and the processes that it started have used.
fn add_usage(id: i32, usage: &mut Usage) -> PeersResult<()> {
    let read = || -> procfs::ProcResult<_> {
        let process = Process::new(id)?;
        let (stat, status) = (process.stat()?, process.status()?);
        let mut children = Vec::new();
        for task in process.tasks()?.flatten() {
            children.extend(task.children().unwrap_or_default());
        }
        Ok((stat, status, children))
    };
    // A process that is just ending has no data any more. The next look sees that it has ended.
    let Ok((stat, status, children)) = read() else { return Ok(()) };
    let ticks = stat.utime + stat.stime + (stat.cutime + stat.cstime).max(0) as u64;
    usage.cpu_seconds += ticks as f64 / procfs::ticks_per_second() as f64;
    usage.own_bytes += status.rssanon.unwrap_or_default() * 1024;
    usage.resident_bytes += status.vmrss.unwrap_or_default() * 1024;
    for child in children {
        add_usage(child as i32, usage)?;
    }
    Ok(())
}
