//! Child processes that do not outlive their test.

use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

/// A child process that is killed when this is dropped.
pub(crate) struct ChildGuard(Child);

impl ChildGuard {
    /// Starts a process.
    ///
    /// # Errors
    /// If the program cannot be run. The error names the program.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        let child = command.spawn().map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display()))
        });
        Ok(Self(child?))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Returns the exit status, or `None` if the process still runs.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Returns the end of a pipe to the process's standard input. It can be taken once.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    /// Returns the end of a pipe from the process's standard output. It can be taken once.
    pub(crate) fn take_output(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // The process may have ended by itself. If not, it ends now, because a test leaves nothing
        // behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
