//! The example program `cli_demo`, run by tests as users run it.

use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::common::example::example;
use crate::common::process::Process;
use crate::common::wait::LONGEST;

/// The time between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = example("cli_demo");
    command.args(arguments).envs(environment.iter().copied());
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
    Said::of(command(arguments, environment).output().unwrap())
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
    process: Process,
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
        let arguments = [["--json", "--web", "127.0.0.1:0"].as_slice(), arguments].concat();
        let process = Process::start(&mut command(&arguments, environment)).unwrap();
        let mut worker = Self { process, banner: Value::Null };
        worker.banner = worker.wait_for("start");
        worker.wait_for("ready");
        worker
    }

    /// Waits for the line about `event`, and returns it.
    #[track_caller]
    fn wait_for(&mut self, event: &str) -> Value {
        let mut line = None;
        comes(|| {
            let has_ended = self.has_ended();
            line = self.line(event);
            line.is_some() || has_ended
        });
        line.unwrap_or_else(|| panic!("no `{event}`: {}", self.process.said()))
    }

    /// Returns the line about `event`, if the worker has written it.
    fn line(&self, event: &str) -> Option<Value> {
        let out = self.process.out();
        // The last line may not be whole yet.
        let (lines, _) = out.rsplit_once('\n')?;
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["event"] == event)
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
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Returns the lines on standard error so far.
    #[cfg(feature = "tls")]
    pub(crate) fn err(&self) -> String {
        self.process.err()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.status().is_some()
    }

    /// Waits until the worker has ended.
    pub(crate) fn end(mut self) -> Said {
        assert!(comes(|| self.has_ended()), "the worker does not end: {}", self.process.said());
        let code = self.process.status().and_then(|status| status.code());
        Said { code, out: self.process.out(), err: self.process.err() }
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

/// Checks `is_so` until it holds, and returns whether it did within [`LONGEST`].
pub(crate) fn comes(is_so: impl FnMut() -> bool) -> bool {
    comes_within(LONGEST, is_so)
}

/// Checks `is_so` until it holds, and returns whether it did within about `limit`.
pub(crate) fn comes_within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    (0..limit.as_millis() / LOOK_EVERY.as_millis()).any(|_| {
        let is_so = is_so();
        if !is_so {
            pause(LOOK_EVERY);
        }
        is_so
    })
}

/// Sends a record to the worker that serves at `web`, and returns whether the worker took it.
pub(crate) fn post(web: &str, topic: &str, record: &Value) -> bool {
    let url = format!("http://{web}/topics/{topic}");
    ureq::post(&url).header("content-type", "application/json").send(record.to_string()).is_ok()
}

/// Waits in real time, because the process that the test watches runs in real time.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
