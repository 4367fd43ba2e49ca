//! Tests of the command `backup`.

use std::fs::{self, File};
use std::path::Path;

use serde_json::{Value, json};

use crate::common::TestResult;
use crate::program::{Worker, run, succeed};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Returns the sum of all counts.
fn counted(worker: &Worker) -> u64 {
    let rows = succeed(&["table", "counts", "--json", "--web", &worker.web()]).json();
    let values = rows["rows"].as_array().into_iter().flatten().filter_map(|row| row["value"].as_u64());
    values.sum()
}

/// Copies the folder while a source, agents, a table and a global table are at work. Each copy goes
/// on from one moment that is the same for all of them: nothing of the source is lost or there
/// twice, and the tables agree.
#[test]
fn n1_5_a_copy_of_a_folder_at_work_goes_on_from_one_moment() -> TestResult {
    const FEED: &str = "30000";
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let worker = Worker::start(&["--data-dir", text(&data), "--feed", FEED]);
    let mut copies = Vec::new();
    for round in 0..3 {
        for number in 0..40 {
            assert!(worker.post("words", &json!({ "value": format!("word {}", number % 7) })));
        }
        let copy = folder.path().join(format!("copy {round}"));
        let done = succeed(&["backup", text(&copy), "--data-dir", text(&data), "--json"]).json();
        assert_eq!(done["has_broker"], json!(true), "{done}");
        assert!(done["stores"].as_u64() > Some(0) && done["bytes"].as_u64() > Some(0), "{done}");
        assert!(!folder.path().join(format!("copy {round}.partial")).exists());
        copies.push(copy);
    }
    worker.wait_for_row("total", "numbers", &json!(30_000));
    worker.wait_for_row("total", "words", &json!(120));
    worker.stop();

    let mut last = 0;
    for copy in copies {
        let drained = succeed(&["--drain", "--json", "--web", "off", "--data-dir", text(&copy), "--feed", FEED]);
        assert!(!drained.err.contains("damaged"), "{drained:?}");
        let worker = Worker::start(&["--data-dir", text(&copy), "--feed", FEED]);
        worker.wait_for_row("total", "numbers", &json!(30_000));
        let words = worker.row("total", "words").as_ref().and_then(Value::as_u64).unwrap_or_default();
        assert_eq!(counted(&worker), words);
        assert!(words >= last && words <= 120, "{words} after {last}");
        last = words;
        assert_eq!(worker.stop().code, Some(0));
    }
    assert!(last > 0, "the last copy has words");
    Ok(())
}

#[test]
fn n1_5_a_failed_backup_says_why_and_leaves_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    run(&["backup", text(&copy)]).fails(2, &["--data-dir", "nothing to back up"]);
    run(&["backup", text(&copy), "--data-dir", text(&data)]).fails(2, &["nothing", "data"]);
    for number in 0..50 {
        succeed(&["send", "words", &format!("word {number}"), "--data-dir", text(&data)]);
    }
    succeed(&["--drain", "--web", "off", "--data-dir", text(&data)]);

    // A file that is already at the destination is left alone.
    fs::create_dir(&copy)?;
    fs::write(copy.join("notes"), "mine")?;
    run(&["backup", text(&copy), "--data-dir", text(&data)]).fails(1, &["it is not an empty folder", "copy"]);
    assert_eq!(fs::read_to_string(copy.join("notes"))?, "mine");
    fs::remove_file(copy.join("notes"))?;
    let said = succeed(&["backup", text(&copy), "--data-dir", text(&data)]);
    assert!(said.out.contains("topics and positions"), "{said:?}");

    // Cut off half of the broker's file.
    let broker = data.join("broker").join("data.mdb");
    let length = fs::metadata(&broker)?.len();
    File::options().write(true).open(&broker)?.set_len(length / 8192 * 4096)?;
    let again = folder.path().join("again");
    run(&["backup", text(&again), "--data-dir", text(&data)]).fails(1, &["damaged", "broker"]);
    let left: Vec<_> = fs::read_dir(folder.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    assert_eq!(left.len(), 2, "the data and the first copy: {left:?}");
    Ok(())
}
