//! A process that a test starts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A process that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts a process. Its output goes to files in `folder`, which replace those of the process
    /// before.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let (out, err) = (folder.join("stdout"), folder.join("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child, out, err })
    }

    /// Waits for at most `within` until the process has ended. Returns its status, or `None` if it
    /// still runs.
    pub(crate) async fn ended(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends the process a signal, such as `KILL` or `TERM`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status()?;
        if sent.success() { Ok(()) } else { Err(format!("kill -{signal}: {sent}").into()) }
    }

    /// Returns what the process has written to standard output.
    pub(crate) fn out(&self) -> Result<String> {
        said(&self.out)
    }

    /// Returns what the process has written to standard error.
    pub(crate) fn err(&self) -> Result<String> {
        said(&self.err)
    }
}

fn said(file: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended by itself. If not, it ends now, because a test leaves nothing
        // behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command that runs the example `name`. Cargo built it with the tests, next to their
/// folder.
pub(crate) fn example(name: &str) -> Result<Command> {
    let this = std::env::current_exe()?;
    let profile = this.parent().and_then(Path::parent).ok_or("a test lies in target/<profile>/deps")?;
    let example = profile.join("examples").join(name);
    if example.exists() {
        return Ok(Command::new(example));
    }
    Err(format!("{} is not there: `cargo test` builds it, `cargo build --example {name}` too", example.display())
        .into())
}
