//! The examples of this repository, run by tests as users run them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::client::{Answer, Client};
use super::process::Process;
use super::wait::{LONGEST, holds_within};

/// Returns a command that runs the example `name`. Cargo built it with the tests, next to their
/// folder. The command does not take settings over from the environment of the test.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not there: `cargo test` builds it, `cargo build --example {name}` too",
        path.display()
    );
    let mut command = Command::new(path);
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
    command
}

/// A running example, with its web server on a free port.
pub(crate) struct Example {
    pub(crate) process: Process,
    /// A client of its first worker.
    pub(crate) web: Client,
    /// Clients of its other workers.
    pub(crate) others: Vec<Client>,
}

impl Example {
    /// Starts the example and waits until its shards are open.
    pub(crate) async fn start(name: &str, arguments: &[&str]) -> Self {
        let mut process = Process::start(example(name).args(["--web", "127.0.0.1:0"]).args(arguments)).unwrap();
        let mut found = None;
        holds_within(LONGEST, async || {
            let has_ended = process.status().is_some();
            found = addresses(&process.out());
            found.is_some() || has_ended
        })
        .await;
        let Some(found) = found else { panic!("{name} is not ready: {}", process.said()) };
        let mut clients = found.into_iter().map(Client::new);
        let web = clients.next().expect("it says where its web server is");
        let example = Self { process, web, others: clients.collect() };
        assert_eq!(example.get("/readyz").await.status, 200, "{name} says that it is ready");
        example
    }

    /// Runs the example until all of its input is processed.
    pub(crate) async fn drain(name: &str, arguments: &[&str]) {
        let mut command = example(name);
        let mut process = Process::start(command.args(["--web", "off", "--drain"]).args(arguments)).unwrap();
        assert_eq!(process.end().await.code(), Some(0), "{}", process.err());
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.web.ask_meanwhile("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.web.ask_meanwhile("POST", path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Answer {
        self.web.ask_meanwhile("PUT", path, body).await
    }

    /// Sends a record, which must be accepted.
    pub(crate) async fn send(&self, topic: &str, record: Value) {
        self.post(&format!("/topics/{topic}"), &record.to_string()).await.expect(200);
    }

    /// Returns the value of a row, or null.
    pub(crate) async fn row(&self, table: &str, key: &str) -> Value {
        let answer = self.get(&format!("/tables/{table}/{key}")).await;
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        answer.json()["value"].take()
    }

    /// Waits until `accepts` returns true for the value of a row, and returns the value.
    pub(crate) async fn row_when(&self, table: &str, key: &str, accepts: impl Fn(&Value) -> bool) -> Value {
        let mut value = Value::Null;
        let came = holds_within(LONGEST, async || {
            value = self.row(table, key).await;
            accepts(&value)
        })
        .await;
        assert!(came, "row `{key}` of `{table}` is {value} at last: {}", self.process.err());
        value
    }

    /// Waits until the example has written `words`.
    pub(crate) async fn says(&self, words: &str) {
        self.process.says(words).await;
    }

    /// Stops the example, as a shell does. It must end with exit code 0.
    pub(crate) async fn stop(mut self) {
        let status = self.process.stop().await;
        assert_eq!(status.code(), Some(0), "{}", self.process.err());
    }
}

/// Returns the addresses of the web servers that a process prints before it says that it is ready.
fn addresses(out: &str) -> Option<Vec<SocketAddr>> {
    let (banner, _) = out.split_once("ready after")?;
    let words = banner.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
    Some(words.filter_map(|word| word.trim_end_matches(',').parse().ok()).collect())
}
