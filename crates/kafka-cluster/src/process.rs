use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// The process of a broker, which ends when this one ends, however this one ends.
///
/// Java runs under a small shell whose standard input is a pipe from this process. When the pipe closes, and a killed
/// process closes its pipes too, the shell kills java.
#[derive(Debug)]
pub(crate) struct Process {
    shell: Child,
    java: Pid,
}

/// Given the log and the command. It says java's process id, then waits for java and ends as that did.
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
    /// Starts a command; what it says goes to the end of `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> io::Result<Process> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "sh"]).arg(log).arg(command.get_program()).args(command.get_args());
        // Its own process group, so that a Ctrl-C in the terminal reaches this process first and the pipe decides.
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

    /// How it ended, when it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Waits for its end.
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

    /// Stops it where it is, and waits until all its threads have stopped: one of them takes the signal and tells the
    /// others, and on a busy machine those go on meanwhile.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        while self.ended()?.is_none() && !self.is_stopped()? {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether all its threads are stopped, as `/proc` tells.
    fn is_stopped(&self) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let state = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
            // `id (name) state …`, where the name may be anything. Of a thread that has ended there is nothing.
            if state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Kills it, and waits until it is gone.
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
