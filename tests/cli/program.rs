//! The example program, run as people run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything here takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example, beside the folder of this test's own file.
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

/// What a command that ended has said.
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

    /// The one JSON document it wrote.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it failed with `code`, and said each of `words`.
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

/// The same with variables in the environment.
pub(crate) fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = command(arguments);
    command.envs(environment.iter().copied());
    Said::of(command.output().unwrap())
}

/// Runs a command that must go well.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> Said {
    let said = run(arguments);
    assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    said
}

/// A worker at work, which dies with this.
pub(crate) struct Worker {
    child: Child,
    lines: Receiver<String>,
    /// The lines on standard error so far, and the thread that reads them.
    said: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
    pub(crate) banner: Value,
}

impl Worker {
    /// Starts one, on a free port, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with variables in the environment.
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

    /// The next line that tells of `event`.
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

    /// Where it serves, for `--web`.
    pub(crate) fn web(&self) -> String {
        self.banner["web"][0].as_str().unwrap().to_owned()
    }

    /// Sends it a record over HTTP. Whether it has it.
    pub(crate) fn post(&self, topic: &str, record: &Value) -> bool {
        post(&self.web(), topic, record)
    }

    /// The value of a row, as `table` answers it.
    pub(crate) fn row(&self, table: &str, key: &str) -> Option<Value> {
        let said = run(&["table", table, key, "--json", "--web", &self.web()]);
        (said.code == Some(0)).then(|| said.json()["value"].clone())
    }

    /// Asks until the row has this value.
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

    /// Waits for its end.
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

    /// Asks it to stop, and sees that it does so well.
    #[track_caller]
    pub(crate) fn stop(self) -> Said {
        self.signal(Signal::TERM);
        let said = self.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        said
    }
}

/// Asks until something is so. Whether it came to that.
pub(crate) fn comes(is_so: impl Fn() -> bool) -> bool {
    (0..600).any(|_| {
        let is_so = is_so();
        if !is_so {
            pause(Duration::from_millis(100));
        }
        is_so
    })
}

/// Sends a record to the worker that serves at `web`. Whether it has it.
pub(crate) fn post(web: &str, topic: &str, record: &Value) -> bool {
    let url = format!("http://{web}/topics/{topic}");
    ureq::post(&url).header("content-type", "application/json").send(record.to_string()).is_ok()
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits in real time, as the process that is watched does.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
