//! Tests of the command `worker`: how it starts, stops and fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::TestResult;
use crate::program::{Worker, pause, post, run, run_with, succeed};

#[test]
fn a_drain_ends_by_itself_and_reports_what_it_did() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    for word in ["one", "two", "two"] {
        succeed(&["send", "words", word, "--data-dir", data]);
    }
    let said = succeed(&["--drain", "--json", "--web", "off", "--data-dir", data]);
    let last: Value = serde_json::from_str(said.out.lines().last().unwrap_or_default())?;
    assert_eq!((&last["event"], &last["events"]), (&json!("drained"), &json!(3)), "{said:?}");
    assert_eq!(last["agents"], json!({ "count": 3, "order": 0, "tally": 0 }));

    let said = succeed(&["worker", "--drain", "--web", "off", "--data-dir", data]);
    assert!(said.out.contains("drained: 0 events in "), "{said:?}");
    Ok(())
}

#[test]
fn the_banner_says_what_runs_where() {
    let said = succeed(&["--drain", "--web", "127.0.0.1:0", "--lanes", "1"]);
    for words in ["cli-demo 0", "memory (nothing is kept", "http://127.0.0.1:", "1, with 1 lane", "exactly once", "pid"]
    {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'), "no colours, no bars: {said:?}");
    assert!(succeed(&["--drain", "--web", "off"]).out.contains("off"));
}

#[test]
fn options_win_over_the_environment_wherever_they_stand() {
    let environment = [("MARLOWE_WORKERS", "2"), ("MARLOWE_WEB", "off")];
    for (arguments, workers) in [
        (["--drain", "--json"].as_slice(), 2),
        (&["worker", "--drain", "--json"], 2),
        (&["worker", "--drain", "--json", "--workers", "3"], 3),
        (&["--workers", "3", "--json", "worker", "--drain"], 3),
    ] {
        let said = run_with(arguments, &environment);
        let banner: Value = serde_json::from_str(said.out.lines().next().unwrap_or_default()).unwrap_or_default();
        assert_eq!((&banner["workers"], &banner["web"]), (&json!(workers), &json!([])), "{arguments:?}: {said:?}");
    }
}

#[test]
fn workers_of_one_process_serve_on_ports_of_their_own() {
    let worker = Worker::start(&["--workers", "2"]);
    assert!(worker.post("words", &json!({ "value": "hello" })));
    worker.wait_for_row("counts", "hello", &json!(1));
    let second = worker.banner["web"][1].as_str().unwrap();
    let said = succeed(&["table", "counts", "hello", "--json", "--web", second]).json();
    assert_eq!(said["value"], 1);
}

#[test]
fn commands_take_the_token_from_an_option_a_variable_or_a_file() -> TestResult {
    let folder = tempfile::tempdir()?;
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "# who may what\nread look-around\nwrite open-sesame ada\n")?;
    let tokens = tokens.to_str().ok_or("a path of text")?;
    let worker = Worker::start(&["--web-tokens", tokens, "--web-token", "read:look-too"]);
    let web = worker.web();
    for said in
        [run(&["table", "counts", "--web", &web]), run(&["table", "counts", "--web", &web, "--web-token", "sesame"])]
    {
        said.fails(1, &["--web-token", "MARLOWE_WEB_TOKEN", "--web-tokens", &web]);
    }
    let send = ["send", "words", "hello", "--web", &web];
    run_with(&send, &[("MARLOWE_WEB_TOKEN", "read:look-around")]).fails(1, &["403", "may only read"]);
    assert_eq!(run_with(&send, &[("MARLOWE_WEB_TOKEN", "read:look-around,write:open-sesame")]).code, Some(0));
    succeed(&[send.as_slice(), &["--web-tokens", tokens]].concat());
    succeed(&["table", "counts", "--web", &web, "--web-token", "look-too"]);
    let said = worker.stop();
    assert!(!said.err.contains("sesame") && !said.out.contains("sesame"), "{said:?}");
    run(&["--web-tokens", "/nowhere", "--drain"]).fails(1, &["/nowhere", "read TOKEN"]);
    assert!(!succeed(&["--help"]).out.contains("sesame"));
    Ok(())
}

#[test]
fn a_worker_on_a_public_address_needs_a_token_or_web_open() {
    run(&["--drain", "--web", "0.0.0.0:0"]).fails(1, &["0.0.0.0:0", "--web-token", "--web-open"]);
    succeed(&["--drain", "--web", "0.0.0.0:0", "--web-open"]);
    assert_eq!(run_with(&["--drain", "--web", "0.0.0.0:0"], &[("MARLOWE_WEB_OPEN", "1")]).code, Some(0));
    assert_eq!(run_with(&["--drain", "--web", "0.0.0.0:0"], &[("MARLOWE_WEB_TOKEN", "open-sesame")]).code, Some(0));
    run(&["--drain", "--workers", "2", "--web-token", "open-sesame"]).fails(1, &["--cluster-token"]);
    run(&["--web-open", "topics"]).fails(2, &["--web-open", "`worker`"]);
}

#[test]
fn sigterm_while_records_come_loses_none_and_counts_none_twice() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let (taken, unsure) = (AtomicU64::new(0), AtomicU64::new(0));
    for _ in 0..3 {
        let worker = Worker::start(&["--data-dir", data, "--workers", "2"]);
        let web = worker.web();
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                // This loop sends until the worker is gone.
                while post(&web, "words", &json!({ "value": "hello" })) {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                unsure.fetch_add(1, Ordering::Relaxed);
            });
            pause(Duration::from_millis(700));
            worker.signal(Signal::TERM);
            assert!(sender.join().is_ok());
        });
        let said = worker.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("stopped"), "{said:?}");
    }
    assert!(taken.load(Ordering::Relaxed) > 30, "records came");
    succeed(&["--drain", "--web", "off", "--data-dir", data]);
    let worker = Worker::start(&["--data-dir", data]);
    let total = worker.row("total", "words").and_then(|total| total.as_u64()).ok_or("a total")?;
    // A record may have been counted although its answer did not arrive.
    let taken = taken.load(Ordering::Relaxed);
    assert!((taken..=taken + unsure.load(Ordering::Relaxed)).contains(&total), "{total} of {taken}");
    assert_eq!(worker.row("counts", "hello"), Some(total.into()));
    Ok(())
}

#[test]
fn the_second_ctrl_c_does_not_wait_for_the_event_in_flight() {
    let mut worker = Worker::start(&[]);
    assert!(worker.post("words", &json!({ "value": "slow" })));
    pause(Duration::from_millis(1000));
    worker.signal(Signal::INT);
    pause(Duration::from_millis(1000));
    assert!(!worker.has_ended(), "an event is in hand");
    worker.signal(Signal::INT);
    assert_eq!(worker.end().code, Some(130));
}

#[test]
fn ctrl_c_stops_an_idle_worker_and_a_drain() -> TestResult {
    let worker = Worker::start(&[]);
    worker.signal(Signal::INT);
    assert_eq!(worker.end().code, Some(0));

    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    succeed(&["send", "words", "slow", "--data-dir", data]);
    let worker = Worker::start(&["--drain", "--data-dir", data]);
    pause(Duration::from_millis(500));
    worker.signal(Signal::TERM);
    let said = worker.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("before every input was processed"), "{said:?}");
    Ok(())
}

#[test]
fn an_event_that_fails_stops_the_worker_and_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    succeed(&["send", "words", "fail", "--data-dir", data]);
    let said = run(&["--drain", "--web", "off", "--data-dir", data]);
    said.fails(1, &["error: ", "`count`", "cli-demo-count-repartition", "the word is `fail`"]);
    assert!(!said.err.contains("panicked"), "{said:?}");
    // The event is not lost: it fails again.
    run(&["--drain", "--web", "off", "--data-dir", data]).fails(1, &["the word is `fail`"]);
    Ok(())
}

#[test]
fn n3_1_a_panic_on_a_workers_thread_exits_with_an_error() {
    let worker = Worker::start(&["--lanes", "1"]);
    // The request may get no answer, because the panic may come first.
    let _ = worker.post("words", &json!({ "value": "burst" }));
    worker.end().fails(1, &["panicked", "lane", "it bursts", "cli_demo.rs"]);
}

#[test]
fn a_second_process_on_the_folder_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let worker = Worker::start(&["--data-dir", data]);
    let pid = worker.banner["pid"].to_string();
    run(&["--data-dir", data, "--web", "off"]).fails(1, &["in use", &format!("pid {pid}"), "--data-dir"]);
    // A command that does not need the folder is answered.
    let topics = succeed(&["topics", "--data-dir", data]);
    assert!(topics.out.contains("words") && topics.err.contains("declared"), "{topics:?}");
    worker.stop();
    succeed(&["--drain", "--data-dir", data, "--web", "off"]);
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "")?;
    let file = file.to_str().ok_or("a path of text")?;
    run(&["--web", "off", "--data-dir", file]).fails(1, &["error: ", file]);
    run(&["send", "words", "x", "--data-dir", file]).fails(1, &["error: ", file]);
    Ok(())
}

#[test]
fn a_port_in_use_is_named_with_the_fix() -> TestResult {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    run(&["--web", &address]).fails(1, &[&address, "in use", "--web 127.0.0.1:0"]);
    Ok(())
}

#[test]
fn the_log_has_the_level_that_is_asked_for() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let worker = Worker::start(&["--data-dir", data]);
    // The command logs a line of Marlowe at level `info`.
    let asked = ["topics", "--data-dir", data];
    assert!(succeed(&asked).err.contains("INFO marlowe"));
    assert_eq!(succeed(&[asked.as_slice(), &["--log", "off"]].concat()).err, "");
    assert_eq!(run_with(&asked, &[("RUST_LOG", "error")]).err, "");
    assert!(run_with(&[asked.as_slice(), &["--log", "info"]].concat(), &[("RUST_LOG", "off")]).err.contains("INFO"));
    worker.stop();
    Ok(())
}
