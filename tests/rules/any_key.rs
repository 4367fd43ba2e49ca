//! Any key is valid: rows whose keys look like Marlowe's own marks in changelogs are rows like all
//! others.

use marlowe::{App, GlobalTable, Running, Table};
use marlowe_broker::{Cleanup, TopicConfig};

use crate::scene::{GUARANTEES, Scene, TestResult, drain, stop};

const KEYS: [&str; 12] = [
    "\0marlowe-epoch",
    "\0marlowe-inbox",
    "\0marlowe-taken-over",
    "\0marlowe-",
    "\0marlowe-anything",
    "\0marlowe",
    "\0marlowe\0",
    "\0marlowe\0\0marlowe-epoch",
    "\0marlowe\0\0marlowe\0\0marlowe-inbox",
    "\0",
    "",
    "plain",
];

fn program(guarantee: fn(&mut App)) -> (App, Table<String, u64>, GlobalTable<String, u64>) {
    let mut app = App::new("any-key");
    app.partitions(2);
    guarantee(&mut app);
    let rows = app.table::<String, u64>("rows");
    let global = app.global_table::<String, u64>("global").merge(|sum, more| *sum += more);
    (app, rows, global)
}

/// Returns the rows of the table, of the global table, and of the global table's copy.
async fn contents(
    running: &mut Running,
    rows: Table<String, u64>,
    global: GlobalTable<String, u64>,
) -> [Vec<(String, u64)>; 3] {
    drain(running).await.unwrap();
    let (view, global_view, copy) = running.open((rows.view(), global.view(), global));
    [view.iter().await.unwrap(), global_view.iter().await.unwrap(), copy.iter().unwrap()]
}

#[tokio::test]
async fn n1_5_rows_with_keys_like_marks_are_restored_and_removed() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let mut expected: Vec<(String, u64)> =
            KEYS.iter().zip(1..).map(|(key, value)| ((*key).to_owned(), value)).collect();
        expected.sort();
        let (app, rows, global) = program(guarantee);
        let mut running = scene.start(app).await?;
        let (inbox, changes) = running.open((rows.inbox(), global));
        for (key, value) in &expected {
            inbox.send(key, *value).await?;
            changes.send(key, *value).await?;
        }
        assert_eq!(contents(&mut running, rows, global).await, [(); 3].map(|()| expected.clone()));
        stop(running).await?;
        // These rows are restored from the changelog alone.
        let (app, rows, global) = program(guarantee);
        let mut running = scene.start(app).await?;
        assert_eq!(contents(&mut running, rows, global).await, [(); 3].map(|()| expected.clone()));
        let (inbox, changes) = running.open((rows.inbox(), global));
        for key in &KEYS[..11] {
            inbox.remove(*key).await?;
            changes.remove(*key).await?;
        }
        let left = vec![("plain".to_owned(), 12)];
        assert_eq!(contents(&mut running, rows, global).await, [(); 3].map(|()| left.clone()));
        stop(running).await?;
        let (app, rows, global) = program(guarantee);
        let mut running = scene.start(app).await?;
        assert_eq!(contents(&mut running, rows, global).await, [(); 3].map(|()| left.clone()));
        stop(running).await?;
    }
    Ok(())
}

/// Reads a changelog from a version that did not distinguish such keys from marks.
#[tokio::test]
async fn n1_5_older_changelogs_are_read_as_they_were() -> TestResult {
    let scene = Scene::new().await;
    let changelog = "any-key-rows-changelog";
    scene.broker.create_topic(TopicConfig::new(changelog, 2).cleanup(Cleanup::Compact)).await?;
    for partition in 0..2 {
        scene.produce(changelog, partition, Some(b"\0marlowe-taken-over"), Some(b"{}")).await;
        scene.produce(changelog, partition, Some(b"\0marlowe-epoch"), Some(b"somebody")).await;
        scene.produce(changelog, partition, Some(b"\0marlowe-inbox"), None).await;
    }
    scene.produce(changelog, 0, Some(b"\0marlowe-user"), Some(b"1")).await;
    scene.produce(changelog, 0, Some(b"\0marlowe\0user"), Some(b"2")).await;
    let (app, rows, _) = program(|_| {});
    let mut running = scene.start(app).await?;
    drain(&mut running).await?;
    let found = running.open(rows.view()).iter().await?;
    assert_eq!(found, [("\0marlowe\0user".to_owned(), 2), ("\0marlowe-user".to_owned(), 1)]);
    stop(running).await?;
    Ok(())
}
