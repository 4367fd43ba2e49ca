//! The process of a broker, and the shell that ends it together with this process.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// The process of a broker. It ends when this process ends, also when this process is killed.
///
/// Java runs under a small shell whose standard input is a pipe from this process. When this
/// process ends, even by SIGKILL, the operating system closes the pipe. The shell then kills java.
#[derive(Debug)]
pub(crate) struct Process {
    shell: Child,
    java: Pid,
}

/// The shell's script. Its arguments are the log and the command. It prints java's process id,
/// waits for java, and ends with java's exit status.
const WATCHDOG: &str = r#"
log=$1
shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
java=$!
echo "$java"
{ read -r _ <&3; kill -KILL "$java"; } >/dev/null &
watch=$!
exec 3<&- >/dev/null
wait "$java"
status=$?
kill "$watch"
exit "$status"
"#;

impl Process {
    /// Starts `command`, and appends its output to `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> io::Result<Process> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "sh"]).arg(log).arg(command.get_program()).args(command.get_args());
        // The shell has its own process group. So Ctrl-C in the terminal ends this process first,
        // and then the closed pipe ends java.
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut shell = shell.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let java = line.trim().parse().ok().and_then(Pid::from_raw);
        let java = java.ok_or_else(|| io::Error::other(format!("the shell told no process id, but {line:?}")))?;
        Ok(Process { shell, java })
    }

    pub(crate) fn id(&self) -> i32 {
        self.java.as_raw_nonzero().get()
    }

    /// Returns the exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Waits at most `at_most` for the process to end. Returns its exit status, if it has ended.
    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + at_most;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.ended()?.is_none() {
            rustix::process::kill_process(self.java, signal)?;
        }
        Ok(())
    }

    /// Stops the process where it is, and waits until all its threads have stopped.
    ///
    /// One of the threads takes the signal and tells the others. On a busy machine, those go on for
    /// a while.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        while self.ended()?.is_none() && !self.is_stopped()? {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Returns whether all threads of the process are stopped, according to `/proc`.
    fn is_stopped(&self) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let state = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
            // The line is `id (name) state …`, and the name may contain anything. The file of a
            // thread that has ended is missing.
            if state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Kills the process, and waits until it has ended.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.shell.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill().ok();
    }
}
