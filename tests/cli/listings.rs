//! Tests of commands that need no worker, and of command lines that are refused.

use serde_json::json;

use crate::program::{run, run_with, succeed};

#[test]
fn agents_tables_and_topics_are_listed_in_columns() {
    let agents = succeed(&["agents"]).out;
    assert!(agents.starts_with("NAME   READS"), "{agents}");
    assert!(agents.contains("count  words (grouped)"), "{agents}");
    assert!(!agents.contains("inbox") && !agents.contains('\x1b'), "{agents}");
    assert!(succeed(&["agents", "--all"]).out.contains("total-inbox"));

    let tables = succeed(&["tables"]).out;
    assert!(tables.contains("total   global  8           cli-demo-total-changelog"), "{tables}");

    let topics = succeed(&["topics"]).out;
    assert!(topics.contains("orders   declared  2           json   order"), "{topics}");
    assert!(succeed(&["topics", "--all"]).out.contains("cli-demo-count-repartition"));
}

#[test]
fn lists_come_as_json_with_the_option_before_or_after() {
    let agents = succeed(&["--json", "agents"]).json();
    assert_eq!(agents[0]["name"], "count");
    assert_eq!(agents[0]["input"], "words");
    assert_eq!(agents[0]["tables"], json!(["counts"]));

    let tables = succeed(&["tables", "--json"]).json();
    assert_eq!(
        tables[2],
        json!({
            "name": "total",
            "kind": "global",
            "partitions": 8,
            "changelog": "cli-demo-total-changelog",
            "inbox": "cli-demo-total-inbox",
        })
    );

    let topics = succeed(&["topics", "--json"]).json();
    assert_eq!(topics[1]["partitions"], 2);
    assert_eq!(topics[1]["read_by"], json!(["order"]));
}

#[test]
fn the_graph_is_drawn_in_three_languages() {
    assert!(succeed(&["topology"]).out.starts_with("flowchart LR"));
    assert!(succeed(&["topology", "--format", "dot"]).out.starts_with("digraph \"cli-demo\""));
    for arguments in [["topology", "--format", "json"].as_slice(), &["topology", "--json"]] {
        assert_eq!(succeed(arguments).json()["app"], "cli-demo");
    }
}

#[test]
fn shells_get_their_scripts() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(&["completion", shell]).out;
        assert!(script.contains("cli_demo") && script.contains("topology"), "{shell}: {script}");
    }
    assert_eq!(succeed(&["completion", "fish", "--json"]).json()["shell"], "fish");
    run(&["completion", "tcsh"]).fails(2, &["tcsh", "bash"]);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    run(&["tabels"]).fails(2, &["tabels", "tables", "the commands are worker, agents"]);
    run(&["table", "count"]).fails(2, &["no table `count`", "did you mean `counts`", "`stock`"]);
    run(&["send", "wrods", "x"]).fails(2, &["no topic `wrods`", "did you mean `words`", "`orders`"]);
    run(&["send", "@nobody", "x"]).fails(2, &["no agent `nobody`", "`count`", "`order`"]);
    run(&["--wrokers", "2"]).fails(2, &["--wrokers", "--workers"]);
}

#[test]
fn a_cluster_token_is_shown_nowhere() {
    let environment = [("MARLOWE_CLUSTER_TOKEN", "sesame")];
    for arguments in [["--help"].as_slice(), &["worker", "--help"], &["topics"], &["--brokr", "x"]] {
        let said = run_with(arguments, &environment);
        assert!(!format!("{said:?}").contains("sesame"), "{said:?}");
        assert!(arguments != ["--help"] || said.out.contains("MARLOWE_CLUSTER_TOKEN"), "{said:?}");
    }
    let said = run(&["--cluster-token", "open sesame", "--drain", "--web", "off"]);
    said.fails(1, &["cluster token", "without spaces"]);
    assert!(!format!("{said:?}").contains("sesame"), "{said:?}");
    run(&["--advertise", "h:6066", "--drain"]).fails(1, &["h:6066", "http://HOST:PORT"]);
    run(&["topics", "--advertise", "http://h"]).fails(2, &["--advertise"]);
}

#[test]
fn invalid_settings_are_refused() {
    #[cfg(not(feature = "kafka"))]
    run(&["--broker", "kafka://localhost:9092"]).fails(2, &["built without Kafka", "feature `kafka`"]);
    run(&["--broker", "redis://x"]).fails(2, &["redis://x", "embedded"]);
    run(&["--workers", "0"]).fails(2, &["--workers"]);
    run(&["--web", "nonsense"]).fails(2, &["nonsense", "HOST:PORT"]);
    run(&["--log", "a=b=c=d"]).fails(2, &["a=b=c=d", "error, warn, info"]);
    run(&["reset"]).fails(2, &["--data-dir"]);
    run_with(&["--drain", "--web", "off"], &[("MARLOWE_WORKERS", "many")]).fails(2, &["many"]);
}

#[test]
fn help_lists_the_commands_and_version_names_the_library() {
    let help = succeed(&["--help"]).out;
    for word in [
        "worker",
        "completion",
        "Options of the program",
        "--feed",
        "--data-dir",
        "MARLOWE_DATA_DIR",
        "--drain",
        "Without a command",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let version = succeed(&["--version"]).out;
    assert!(version.starts_with("cli_demo ") && version.contains("(marlowe "), "{version}");
}
