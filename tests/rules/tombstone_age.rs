//! A table's store is rebuilt only if it was away for longer than its changelog keeps tombstones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use marlowe::clock::Clock;
use marlowe::{App, Config, Table};
use marlowe_broker::{Cleanup, SystemClock, TopicConfig};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::clock::SetClock;
use crate::common::metrics::Metrics;
use crate::scene::{Scene, TestResult, drain, eventually, start, stop};
use crate::watched::WatchedBroker;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a clock that begins some weeks ago, so that no broker sees times in the future.
fn weeks_ago() -> Arc<SetClock> {
    SetClock::at(SystemClock.now().millis() - 60 * DAY.as_millis() as i64)
}

const CHANGELOG: &str = "ages-rows-changelog";

fn program() -> (App, Table<String, u64>) {
    let mut app = App::new("ages");
    app.partitions(1);
    let rows = app.table::<String, u64>("rows");
    (app, rows)
}

/// Runs the program with its tables in `folder`, and returns how many bytes of the changelog it
/// read.
async fn run(
    scene: &Scene,
    folder: &Path,
    clock: &Arc<SetClock>,
    row: Option<u64>,
) -> Result<usize, Box<dyn std::error::Error>> {
    let broker = WatchedBroker::new(&scene.broker).counts(CHANGELOG, 0);
    let mut config: Config = scene.config().broker(Arc::new(broker.clone())).data_dir(folder);
    config.clock = clock.clone();
    let (app, rows) = program();
    let mut running = start(app, config).await?;
    let read = broker.read.load(Ordering::Relaxed);
    if let Some(row) = row {
        running.open(rows.inbox()).send("key", row).await?;
    }
    drain(&mut running).await?;
    assert_eq!(running.open(rows.view()).get("key").await?, Some(1));
    stop(running).await?;
    Ok(read)
}

#[tokio::test]
async fn n4_1_a_store_is_rebuilt_when_it_was_away_too_long() -> TestResult {
    let (scene, folder, clock) = (Scene::new().await, tempfile::tempdir()?, weeks_ago());
    run(&scene, folder.path(), &clock, Some(1)).await?;
    // On Kafka, the marker of the last transaction is read once.
    run(&scene, folder.path(), &clock, None).await?;
    for days in [1, 6, 6] {
        clock.forward(days * DAY);
        assert_eq!(run(&scene, folder.path(), &clock, None).await?, 0, "after {days} days");
    }
    clock.forward(7 * DAY);
    assert!(run(&scene, folder.path(), &clock, None).await? > 0, "after 7 days");
    assert_eq!(run(&scene, folder.path(), &clock, None).await?, 0, "it is current again");
    clock.back(DAY / 2);
    assert_eq!(run(&scene, folder.path(), &clock, None).await?, 0, "a clock that was set right");
    clock.back(DAY);
    assert!(run(&scene, folder.path(), &clock, None).await? > 0, "a clock that tells nothing");
    Ok(())
}

#[tokio::test]
async fn n4_1_changelogs_keep_tombstones_for_a_week_or_as_set() -> TestResult {
    let retention =
        async |scene: &Scene| scene.broker.topic(CHANGELOG).await.map(|topic| topic.unwrap().tombstone_retention);
    let scene = Scene::new().await;
    stop(scene.start(program().0).await?).await?;
    assert_eq!(retention(&scene).await?, 7 * DAY);
    let scene = Scene::new().await;
    let mut config = scene.config();
    config.tombstone_retention = 30 * DAY;
    stop(start(program().0, config).await?).await?;
    assert_eq!(retention(&scene).await?, 30 * DAY);
    Ok(())
}

/// Uses the retention that the changelog has, not the one it would be created with.
#[tokio::test]
async fn n4_1_a_shorter_retention_of_a_changelog_counts() -> TestResult {
    let (scene, folder, clock) = (Scene::new().await, tempfile::tempdir()?, weeks_ago());
    let hour = Duration::from_secs(60 * 60);
    let changelog = TopicConfig::new(CHANGELOG, 1).cleanup(Cleanup::Compact).tombstone_retention(10 * hour);
    scene.broker.create_topic(changelog).await?;
    run(&scene, folder.path(), &clock, Some(1)).await?;
    run(&scene, folder.path(), &clock, None).await?;
    clock.forward(8 * hour);
    assert_eq!(run(&scene, folder.path(), &clock, None).await?, 0);
    clock.forward(10 * hour);
    assert!(run(&scene, folder.path(), &clock, None).await? > 0);
    Ok(())
}

/// Crashes an idle worker. It goes on noting that its store is current, so nothing is rebuilt.
#[tokio::test(flavor = "multi_thread")]
async fn n4_1_an_idle_store_stays_current_without_a_stop() -> TestResult {
    let (scene, folder, clock) = (Scene::new().await, tempfile::tempdir()?, weeks_ago());
    run(&scene, folder.path(), &clock, Some(1)).await?;
    // A watched broker returns no topic ids, so the store must not learn any meanwhile.
    let broker = WatchedBroker::new(&scene.broker);
    let mut config = scene.config_for_crashes().broker(Arc::new(broker)).data_dir(folder.path());
    config.clock = clock.clone();
    let running = start(program().0, config.web(any_port())).await?;
    let client = Client::of(&running);
    let commits = || Metrics::of(&client).sum("marlowe_commit_seconds_count");
    // A commit that is in flight when the clock moves does not count. The second commit knows of
    // the first step.
    for step in [20 * DAY, Duration::from_secs(2 * 60 * 60)] {
        let before = commits();
        clock.forward(step);
        eventually("it commits, though nothing came", async || commits() > before).await;
    }
    drop(running);
    clock.forward(6 * DAY);
    let read = run(&scene, folder.path(), &clock, None).await?;
    clock.forward(8 * DAY);
    let rebuilt = run(&scene, folder.path(), &clock, None).await?;
    assert!(read < rebuilt, "{read} bytes were read, and {rebuilt} for a rebuild");
    Ok(())
}
