//! `reset`.

use serde_json::json;

use crate::program::{Worker, run, succeed};

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_reset_says_what_it_would_do_and_does_it_when_told() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    for _ in 0..3 {
        succeed(&["send", "words", "hello", "--data-dir", data]);
    }
    succeed(&["--drain", "--web", "off", "--data-dir", data]);

    let would = succeed(&["reset", "--data-dir", data]).out;
    for words in ["would delete", "cli-demo-counts-changelog", "tables-0", "would keep", "words", "--yes"] {
        assert!(would.contains(words), "{words}: {would}");
    }
    let plan = succeed(&["reset", "--json", "--data-dir", data]).json();
    assert_eq!(plan["done"], false);
    assert_eq!(plan["kept"], json!(["words", "orders"]));
    assert!(folder.path().join("tables-0").is_dir(), "nothing is deleted yet");

    let done = succeed(&["reset", "--yes", "--json", "--data-dir", data]).json();
    assert_eq!(done["done"], true);
    assert!(!folder.path().join("tables-0").exists());

    // The topics of the program are still there, and are counted again from their start: neither twice nor not at all.
    let worker = Worker::start(&["--data-dir", data]);
    worker.wait_for_row("counts", "hello", &json!(3));
    worker.wait_for_row("total", "words", &json!(3));
    run(&["reset", "--yes", "--data-dir", data]).fails(1, &["in use", "pid"]);
    worker.stop();

    let done = succeed(&["reset", "--yes", "--all-topics", "--json", "--data-dir", data]).json();
    assert_eq!(done["kept"], json!([]));
    let drained = succeed(&["--drain", "--json", "--web", "off", "--data-dir", data]).out;
    assert!(drained.contains("\"events\":0"), "{drained}");
    Ok(())
}

#[test]
fn a_folder_that_is_not_there_is_not_made() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("none");
    let said = succeed(&["reset", "--yes", "--data-dir", data.to_str().ok_or("a path of text")?]);
    assert!(said.out.contains("nothing to reset"), "{said:?}");
    assert!(!data.exists());
    Ok(())
}
