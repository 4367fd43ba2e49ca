//! Processes whose output a test reads while they run.

use std::fs::File;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::child::ChildGuard;
use super::wait::{LONGEST, holds_within};

/// A process whose output goes to files. It is killed when this is dropped.
pub(crate) struct Process {
    child: ChildGuard,
    /// The folder with the output, in the files `out` and `err`.
    folder: TempDir,
}

impl Process {
    /// Starts a process. Its standard input is empty.
    ///
    /// # Errors
    /// If the program cannot be run. The error names the program.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str| File::create(folder.path().join(name));
        command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
        let child = ChildGuard::start(command)?;
        Ok(Self { child, folder })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Returns the exit status, or `None` if the process still runs.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.status()
    }

    /// Waits for at most `limit` until the process has ended. Returns its exit status, or `None` if
    /// it still runs.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        holds_within(limit, async || self.child.status().is_some()).await;
        self.child.status()
    }

    /// Waits until the process has ended, and returns its exit status. Panics if that takes too
    /// long.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let status = self.ended(LONGEST).await;
        status.unwrap_or_else(|| panic!("it did not end within {LONGEST:?}: {}", self.said()))
    }

    /// Asks the process to end, as a shell does, and waits until it has. Returns its exit status.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end().await
    }

    /// Waits until the process has written `words`, and panics if that takes too long.
    pub(crate) async fn says(&self, words: &str) {
        let says = holds_within(LONGEST, async || self.said().contains(words)).await;
        assert!(says, "it did not say `{words}` within {LONGEST:?}: {}", self.said());
    }

    /// Returns what the process has written to standard output so far.
    pub(crate) fn out(&self) -> String {
        self.read("out")
    }

    /// Returns what the process has written to standard error so far.
    pub(crate) fn err(&self) -> String {
        self.read("err")
    }

    /// Returns what the process has written to standard output, and then what it has written to
    /// standard error.
    pub(crate) fn said(&self) -> String {
        self.out() + &self.err()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join(name)).unwrap()).into_owned()
    }
}
