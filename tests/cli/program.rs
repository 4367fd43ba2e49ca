//! The example program `cli_demo`, run by tests as users run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The longest time that a test waits. Nothing here takes as long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the path of the example, whose folder is next to the one of this test's binary.
fn path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let path = target.join("examples").join(format!("cli_demo{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not built: run `cargo build --example cli_demo`", path.display());
    path
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    for variable in [
        "MARLOWE_BROKER",
        "MARLOWE_DATA_DIR",
        "MARLOWE_WEB",
        "MARLOWE_WEB_TOKEN",
        "MARLOWE_WEB_TLS_CERT",
        "MARLOWE_WEB_TLS_KEY",
        "MARLOWE_WEB_TLS_CA",
        "MARLOWE_WORKERS",
        "MARLOWE_LANES",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code and the output of a command that has ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Returns the one JSON document that the command wrote.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the command failed with exit code `code` and that its standard error has each
    /// of `words`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in {self:?}");
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Said {
    run_with(arguments, &[])
}

/// Runs a command to its end, with the variables `environment`.
pub(crate) fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = command(arguments);
    command.envs(environment.iter().copied());
    Said::of(command.output().unwrap())
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> Said {
    let said = run(arguments);
    assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    said
}

/// A running worker, which is killed when this is dropped.
pub(crate) struct Worker {
    child: Child,
    lines: Receiver<String>,
    /// The lines on standard error so far.
    said: Arc<Mutex<String>>,
    /// The thread that reads standard error.
    listening: Option<JoinHandle<()>>,
    pub(crate) banner: Value,
}

impl Worker {
    /// Starts a worker on a free port, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Starts a worker on a free port with the variables `environment`, and waits until it is
    /// ready.
    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(&["--json", "--web", "127.0.0.1:0"]);
        let mut child = command.args(arguments).envs(environment.iter().copied()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let (said, err) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().unwrap()));
        let hears = said.clone();
        let listening = std::thread::spawn(move || {
            err.lines().map_while(Result::ok).for_each(|line| hears.lock().unwrap().extend([line.as_str(), "\n"]));
        });
        let mut worker = Self { child, lines, said, listening: Some(listening), banner: Value::Null };
        worker.banner = worker.wait_for("start");
        worker.wait_for("ready");
        worker
    }

    /// Waits for the next line about `event`, and returns it.
    #[track_caller]
    fn wait_for(&self, event: &str) -> Value {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let happened: Value = serde_json::from_str(&line).unwrap();
                    if happened["event"] == event {
                        return happened;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{event}` within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the worker ended before `{event}`"),
            }
        }
    }

    /// Returns the address at which the worker serves, for `--web`.
    pub(crate) fn web(&self) -> String {
        self.banner["web"][0].as_str().unwrap().to_owned()
    }

    /// Sends a record to the worker over HTTP, and returns whether the worker took it.
    pub(crate) fn post(&self, topic: &str, record: &Value) -> bool {
        post(&self.web(), topic, record)
    }

    /// Returns the value of a row as the command `table` shows it, or `None` if the command fails.
    pub(crate) fn row(&self, table: &str, key: &str) -> Option<Value> {
        let said = run(&["table", table, key, "--json", "--web", &self.web()]);
        (said.code == Some(0)).then(|| said.json()["value"].clone())
    }

    /// Asks for a row until it has the value `value`.
    pub(crate) fn wait_for_row(&self, table: &str, key: &str, value: &Value) {
        assert!(
            comes(|| self.row(table, key).as_ref() == Some(value)),
            "{table}[{key}] is {:?}, not {value}",
            self.row(table, key)
        );
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Returns the lines on standard error so far.
    pub(crate) fn err(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the worker has ended.
    pub(crate) fn end(mut self) -> Said {
        let waited = (0..1200).find_map(|_| {
            let status = self.child.try_wait().unwrap();
            if status.is_none() {
                pause(Duration::from_millis(50));
            }
            status
        });
        let status = waited.expect("the worker ends");
        self.listening.take().unwrap().join().unwrap();
        let err = self.err();
        let out: Vec<String> = self.lines.iter().collect();
        Said { code: status.code(), out: out.join("\n"), err }
    }

    /// Asks the worker to stop, and asserts that it ends with exit code 0.
    #[track_caller]
    pub(crate) fn stop(self) -> Said {
        self.signal(Signal::TERM);
        let said = self.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        said
    }
}

/// Checks `is_so` until it holds, for about a minute, and returns whether it ever did.
pub(crate) fn comes(is_so: impl Fn() -> bool) -> bool {
    (0..600).any(|_| {
        let is_so = is_so();
        if !is_so {
            pause(Duration::from_millis(100));
        }
        is_so
    })
}

/// Sends a record to the worker that serves at `web`, and returns whether the worker took it.
pub(crate) fn post(web: &str, topic: &str, record: &Value) -> bool {
    let url = format!("http://{web}/topics/{topic}");
    ureq::post(&url).header("content-type", "application/json").send(record.to_string()).is_ok()
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The worker may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits in real time, because the process that the test watches runs in real time.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
