//! Tests of `--broker kafka://…` and the options that go with it, as far as they need no cluster.

use crate::common::TestResult;
use crate::program::{run, run_with, succeed};

const KAFKA: [&str; 3] = ["topics", "--broker", "kafka://127.0.0.1:9092"];

/// Returns the command line with the arguments `more` added.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    KAFKA.iter().chain(more).copied().collect()
}

#[test]
fn a_malformed_cluster_url_is_refused_with_an_example() {
    for (url, words) in [
        ("kafka://", "has no valid host"),
        ("kafka://127.0.0.1", "9092"),
        ("kafka://127.0.0.1:9092/flights", "`/flights`"),
        ("127.0.0.1:9092", "kafka://HOST:PORT"),
    ] {
        run(&["topics", "--broker", url]).fails(2, &["--broker", words, "kafka://HOST:PORT"]);
    }
}

#[test]
fn settings_are_checked_before_the_client_connects() -> TestResult {
    run(&with(&["--kafka", "compresion.type=lz4"])).fails(2, &["`compresion.type`"]);
    run(&with(&["--kafka", "compression.type=brotli"])).fails(2, &["`compression.type`", "brotli"]);
    run(&with(&["--kafka", "group.id=mine"])).fails(2, &["--kafka", "`group.id`", "the group has the app's name"]);
    run(&with(&["--kafka", "nonsense"])).fails(2, &["--kafka", "NAME=VALUE"]);
    run(&["topics", "--kafka", "acks=all"]).fails(2, &["--kafka", "embedded", "--broker kafka://"]);
    run_with(&KAFKA, &[("MARLOWE_KAFKA_ACK", "all")]).fails(2, &["`ack`"]);

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("client.properties");
    std::fs::write(&file, "acks=all\nisolation.level=read_uncommitted\n")?;
    let path = file.to_str().ok_or("a path of text")?;
    run(&with(&["--kafka-config", path])).fails(2, &[path, "line 2", "`isolation.level`"]);
    run_with(&KAFKA, &[("MARLOWE_KAFKA_CONFIG", path)]).fails(2, &[path, "line 2"]);
    run(&with(&["--kafka-config", "no-such-file"])).fails(2, &["no-such-file"]);
    // Options win over the environment, and the environment wins over the file. A wrong value is
    // refused only where it wins.
    std::fs::write(&file, "acks=file\nlinger.ms=file\nretries=file\n")?;
    let right = ["--kafka-config", path, "--kafka", "retries=1", "--kafka", "linger.ms=1"];
    let environment = [("MARLOWE_KAFKA_ACKS", "all"), ("MARLOWE_KAFKA_LINGER_MS", "environment")];
    run_with(&[&with(&right), ["--broker-patience", "1"].as_slice()].concat(), &environment).fails(1, &["Kafka"]);
    run_with(&with(&right[..4]), &environment).fails(2, &["`linger.ms`"]);
    run_with(&with(&right), &environment[1..]).fails(2, &["`acks`", "file"]);
    Ok(())
}

#[test]
fn a_secret_is_shown_nowhere() {
    let secret = "sesame";
    for more in [
        ["--kafka", "sasl.password:sesame"],
        ["--kafka", "ssl.key.password=sesame"],
        ["--broker", "kafka://ada:sesame@127.0.0.1:9092"],
        ["--broker", "http://ada:sesame@127.0.0.1:9092"],
    ] {
        let said = run(&[&["topics", "--log", "trace"], more.as_slice(), &["--broker-patience", "1"]].concat());
        assert!(said.code != Some(0) && !format!("{said:?}").contains(secret), "{more:?}: {said:?}");
    }
    let environment = [("MARLOWE_KAFKA_SASL_PASSWORD", secret), ("MARLOWE_BROKER", "kafka://ada:sesame@h:1")];
    for arguments in [["--help"].as_slice(), &["topics"], &["topics", "--brokr", "x"]] {
        let said = run_with(arguments, &environment);
        assert!(!format!("{said:?}").contains(secret), "{said:?}");
    }
}

#[test]
fn an_instance_is_a_name() {
    run(&["--instance", "a b", "--drain", "--web", "off"]).fails(1, &["instance `a b`", "letters"]);
    let said = succeed(&["--instance", "left", "--drain", "--json", "--web", "off"]);
    assert!(said.out.contains(r#""instance":"left""#), "{said:?}");
}
