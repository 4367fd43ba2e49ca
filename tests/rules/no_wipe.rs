//! Rule 4: the local store holds what is committed, with its position, so a restart after a crash
//! reads only the tail.

use std::time::Duration;

use marlowe::{App, Table, Topic};

use crate::scene::{Scene, TestResult, drain, start, stop};

fn program() -> (App, Topic<String, u64>, Table<String, u64>) {
    let mut app = App::new("tail");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    (app, numbers, sums)
}

#[tokio::test]
async fn a_restart_after_a_crash_reads_only_the_tail_of_the_changelog() -> TestResult {
    let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
    let (app, numbers, _) = program();
    let mut running = start(app, scene.config_in(folder.path())).await?;
    let to = running.open(numbers);
    for number in 0..400u64 {
        to.send(&format!("key-{number}"), &number).await?;
    }
    drain(&mut running).await?;
    assert_eq!(running.restored(), 0);
    drop(running);

    let (app, numbers, sums) = program();
    let mut running = start(app, scene.config_in(folder.path())).await?;
    assert!(running.restored() < 100, "{} records were read again", running.restored());
    let view = running.open(sums.view());
    assert_eq!(view.len().await?, 400);
    running.open(numbers).send(&"key-7".to_owned(), &100).await?;
    drain(&mut running).await?;
    assert_eq!(view.get("key-7").await?, Some(107));
    drop((running, view));

    // A store that is lost is restored from the changelog.
    std::fs::remove_dir_all(folder.path().join("tables-0"))?;
    let (app, _, sums) = program();
    let running = start(app, scene.config_in(folder.path())).await?;
    assert!(running.restored() >= 400, "{} records were read", running.restored());
    assert_eq!(running.open(sums.view()).get("key-7").await?, Some(107));
    assert_eq!(running.open(sums.view()).len().await?, 400);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_crash_leaves_no_uncommitted_work_in_the_store() -> TestResult {
    let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
    let slow = scene.config_in(folder.path()).fixed_commit_interval(Duration::from_secs(3600));
    let (app, numbers, _) = program();
    let running = start(app, slow).await?;
    let to = running.open(numbers);
    for number in 0..100u64 {
        to.send(&"key".to_owned(), &number).await?;
    }
    crate::scene::pause(50).await;
    drop(running);
    let (app, _, sums) = program();
    let mut running = start(app, scene.config_in(folder.path())).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("key").await?, Some((0..100).sum()));
    stop(running).await?;
    Ok(())
}
