//! Tests of the commands on a Kafka cluster.

use kafka_cluster::{Size, shared};
use serde_json::json;

use crate::common::TestResult;
use crate::program::{Worker, run, succeed};
use crate::skip::stopped_at;

/// Runs all commands in one test, one after the other. The example's names are fixed, so two tests
/// of it would disturb each other on the shared cluster.
#[test]
fn every_command_works_on_kafka() -> TestResult {
    let broker = format!("kafka://{}", shared(Size::One).map_err(ToString::to_string)?);
    let on = |arguments: &[&str]| -> Vec<String> {
        arguments.iter().chain(&["--broker", &broker]).map(|argument| (*argument).to_owned()).collect()
    };
    let args = |arguments: &[&str]| on(arguments);
    let said = |arguments: &[&str]| {
        let arguments = args(arguments);
        succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let worker = |arguments: &[&str]| {
        let arguments = args(arguments);
        Worker::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };

    for word in ["hello", "hello", "world"] {
        let place = said(&["send", "words", word, "--json", "--replicas", "1"]).json();
        assert_eq!(place["topic"], "words");
    }
    let topics = said(&["topics", "--all", "--json"]).json();
    let names: Vec<_> = topics.as_array().ok_or("a list")?.iter().map(|topic| topic["name"].clone()).collect();
    for name in ["words", "cli-demo-counts-changelog", "cli-demo-count-repartition", "cli-demo-total-inbox"] {
        assert!(names.contains(&json!(name)), "{name}: {topics}");
    }
    let drained = said(&["--drain", "--json", "--web", "off", "--feed", "5"]).out;
    assert!(drained.contains(r#""count":3"#) && drained.contains(r#""tally":5"#), "{drained}");

    let at_work = worker(&["--session-timeout", "2000", "--feed", "5"]);
    assert_eq!(at_work.banner["broker"], broker.as_str());
    at_work.wait_for_row("counts", "hello", &json!(2));
    at_work.wait_for_row("total", "numbers", &json!(5));
    let would = said(&["reset"]).out;
    assert!(would.contains("cli-demo-counts-changelog") && would.contains("--yes"), "{would}");
    let arguments = args(&["reset", "--yes"]);
    run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).fails(1, &["running workers", "stop them first"]);
    at_work.wait_for_row("counts", "hello", &json!(2));
    at_work.stop();

    // The app begins again with the input that is still there. The source does not feed again what
    // it has fed before.
    assert_eq!(said(&["reset", "--yes", "--json"]).json()["done"], true);
    let drained = said(&["--drain", "--json", "--web", "off", "--feed", "5"]).out;
    assert!(drained.contains(r#""count":3"#) && drained.contains(r#""tally":5"#), "{drained}");
    let again = worker(&["--feed", "5"]);
    again.wait_for_row("counts", "hello", &json!(2));
    again.wait_for_row("total", "numbers", &json!(5));
    again.stop();

    // n2_5: an event that stops the program is skipped, while no worker runs.
    said(&["send", "words", "fail"]);
    let drain = args(&["--drain", "--json", "--web", "off", "--feed", "5"]);
    let failed = run(&drain.iter().map(String::as_str).collect::<Vec<_>>());
    failed.fails(1, &["the word is `fail`"]);
    let [topic, partition, offset] = stopped_at(&failed)?;
    let skip = ["skip", &topic, &partition, &offset, "--json"];
    assert_eq!(said(&skip).json()["done"], false);
    let plan = said(&[&skip[..], &["--yes"]].concat()).json();
    assert_eq!((&plan["done"], &plan["skips"]), (&json!(true), &json!(["count"])), "{plan}");
    said(&["--drain", "--json", "--web", "off", "--feed", "5"]);

    // This folder keeps tables of changelogs that are then deleted and created again. They are not
    // taken for the tables of the new changelogs.
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    said(&["--drain", "--web", "off", "--feed", "5", "--data-dir", data]);
    assert_eq!(said(&["reset", "--yes", "--all-topics", "--json"]).json()["kept"], json!([]));
    for _ in 0..3 {
        said(&["send", "words", "hello"]);
    }
    let drained = said(&["--drain", "--json", "--web", "off", "--feed", "2"]).out;
    assert!(drained.contains(r#""count":3"#) && drained.contains(r#""tally":2"#), "{drained}");
    let kept = worker(&["--feed", "2", "--data-dir", data]);
    kept.wait_for_row("counts", "hello", &json!(3));
    assert_eq!(kept.row("total", "numbers"), Some(json!(2)));
    assert_eq!(kept.row("counts", "world"), None);
    kept.stop();
    said(&["reset", "--yes", "--all-topics", "--data-dir", data]);
    Ok(())
}

#[test]
fn an_unreachable_cluster_is_waited_for_and_then_named() {
    // Nothing listens on port 1.
    let unreachable = ["topics", "--broker", "kafka://127.0.0.1:1", "--broker-patience", "1"];
    run(&unreachable).fails(1, &["kafka://127.0.0.1:1", "waited 1s"]);
}
