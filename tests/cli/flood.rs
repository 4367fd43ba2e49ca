//! Tests of a worker that gets more connections than its cap, or than it has file descriptors.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::common::TestResult;
use crate::program::{Worker, comes_within};

/// The longest time after which connections that ended make room for others. It is shorter than the
/// time after which the server itself closes idle connections.
const ROOM_WITHIN: Duration = Duration::from_secs(30);

/// Asks for the worker's health as an orchestrator does, with a new client each time.
fn is_healthy(web: &str) -> bool {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build().into();
    ["healthz", "readyz"].iter().all(|path| agent.get(format!("http://{web}/{path}")).call().is_ok())
}

fn hold(web: &str, count: usize) -> std::io::Result<Vec<TcpStream>> {
    (0..count).map(|_| TcpStream::connect(web)).collect()
}

#[test]
fn connections_beyond_the_cap_are_logged_and_health_is_answered() -> TestResult {
    let worker = Worker::start_with(&[], &[("MARLOWE_WEB_CONNECTIONS", "20")]);
    let held = hold(&worker.web(), 100)?;
    for _ in 0..3 {
        assert!(is_healthy(&worker.web()));
    }
    drop(held);
    let is_taken = comes_within(ROOM_WITHIN, || worker.post("words", &json!({ "value": "hello" })));
    assert!(is_taken, "the connections that ended make no room");
    let said = worker.stop();
    assert!(said.err.contains("20 connections are open") && said.err.contains("--web-connections"), "{said:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_out_of_files_is_healthy_says_so_and_goes_on() -> TestResult {
    use rustix::process::{Resource, Rlimit, prlimit};

    let worker = Worker::start(&[]);
    assert!(is_healthy(&worker.web()) && worker.post("words", &json!({ "value": "hello" })));
    let files = std::fs::read_dir(format!("/proc/{}/fd", worker.pid().as_raw_nonzero()))?.count() as u64;
    let before =
        prlimit(Some(worker.pid()), Resource::Nofile, Rlimit { current: Some(files + 3), maximum: Some(files + 500) })?;
    let held = hold(&worker.web(), 60)?;
    for _ in 0..3 {
        assert!(is_healthy(&worker.web()));
    }
    drop(held);
    let raised = Rlimit { current: Some(files + 500), ..before };
    prlimit(Some(worker.pid()), Resource::Nofile, Rlimit { maximum: Some(files + 500), ..raised })?;
    let is_taken = comes_within(ROOM_WITHIN, || worker.post("words", &json!({ "value": "hello" })));
    assert!(is_taken, "it does not accept any more");
    let said = worker.stop();
    assert!(said.err.contains("no connection can be accepted") && said.err.contains("ulimit -n"), "{said:?}");
    Ok(())
}
