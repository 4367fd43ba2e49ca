//! Static members, which are workers with a lasting name: a restart moves nothing. Two workers with
//! one name or in one folder are detected.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use marlowe::broker::Partition;
use marlowe::{App, Config, RunError, Running};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::scene::{Scene, TestResult, drain, eventually, start, stop, within};

const PARTITIONS: u32 = 6;

/// The partitions of which a worker handled events.
type Handled = Arc<Mutex<BTreeSet<Partition>>>;

fn program(handled: &Handled) -> App {
    waiting_program(handled, &watch::Sender::new(true))
}

/// Builds the program with events that do not end before `may_end` is true.
fn waiting_program(handled: &Handled, may_end: &watch::Sender<bool>) -> App {
    let mut app = App::new("instances");
    app.partitions(PARTITIONS);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    let (handled, may_end) = (handled.clone(), may_end.clone());
    app.agent("sum", numbers).with(sums).each_event(async move |sums, event| {
        handled.lock().insert(event.partition);
        let _ = may_end.subscribe().wait_for(|may| *may).await;
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    app
}

/// Returns settings with a session that lasts longer than a restart.
fn named(scene: &Scene, instance: &str) -> Config {
    scene.config().session_timeout(Duration::from_secs(30)).instance(instance)
}

/// Sends an event to each partition.
async fn one_each(scene: &Scene) {
    for partition in 0..PARTITIONS {
        let key = crate::scene::key_where("key", |key| {
            marlowe::broker::Partitioner::Murmur2.partition(key, PARTITIONS) == Partition::new(partition)
        });
        scene.produce("numbers", partition, Some(key.as_bytes()), Some(b"1")).await;
    }
}

#[tokio::test]
async fn a_restart_within_the_session_moves_nothing() -> TestResult {
    let scene = Scene::new().await;
    let (left, right) = (Handled::default(), Handled::default());
    let first = start(program(&left), named(&scene, "left")).await?;
    let mut second = start(program(&right), named(&scene, "right")).await?;
    let round = async |second: &mut Running| {
        left.lock().clear();
        right.lock().clear();
        one_each(&scene).await;
        drain(second).await.unwrap();
        (left.lock().clone(), right.lock().clone())
    };
    // The assignment is settled when each has some partitions, and has the same ones again.
    let (mut had, mut others) = round(&mut second).await;
    eventually("each has a share", async || {
        let before = (had.clone(), others.clone());
        (had, others) = round(&mut second).await;
        let shares = [had.len(), others.len()];
        before == (had.clone(), others.clone()) && shares.iter().sum::<usize>() == 6 && !shares.contains(&0)
    })
    .await;
    stop(first).await?;
    left.lock().clear();
    right.lock().clear();
    one_each(&scene).await;
    eventually("the other goes on", async || *right.lock() == others).await;
    let mut back = start(program(&left), named(&scene, "left")).await?;
    drain(&mut back).await?;
    assert_eq!(*left.lock(), had, "it has what it had");
    assert_eq!(*right.lock(), others, "and nothing of it went to the other meanwhile");
    stop(back).await?;
    Ok(stop(second).await?)
}

/// Crashes a worker that is to give up shards before it has, and restarts it within its session. On
/// Kafka, the coordinator sees a member that was never away, and does not share out the shards
/// again. The shards that were to move must not be left without an owner.
#[tokio::test]
async fn shards_that_were_to_move_at_a_crash_have_an_owner_later() -> TestResult {
    let scene = Scene::new().await;
    let (begun, may_end) = (Handled::default(), watch::Sender::new(false));
    let config = |instance: &str| scene.config().instance(instance);
    let left = || waiting_program(&begun, &may_end);
    let first = start(left(), config("left")).await?;
    one_each(&scene).await;
    eventually("it has an event of each partition in hand", async || begun.lock().len() == PARTITIONS as usize).await;
    let right = Handled::default();
    let mut second = program(&right).start(config("right")).await?;
    // Meanwhile, the first is told to give up some shards, and cannot do so yet.
    tokio::time::sleep(crate::stage::MOMENT).await;
    drop(first);
    may_end.send_replace(true);
    let back = left().start(config("left")).await?;
    drain(&mut second).await?;
    one_each(&scene).await;
    drain(&mut second).await?;
    let changelog = scene.records("instances-sums-changelog").await;
    let twos = changelog.iter().filter(|record| record.value.as_deref() == Some("2")).count();
    assert_eq!(twos, PARTITIONS as usize, "each event counts once: {changelog:?}");
    assert!(!right.lock().is_empty(), "the second has a share");
    stop(back).await?;
    Ok(stop(second).await?)
}

#[tokio::test]
async fn two_workers_of_one_name_are_reported() -> TestResult {
    let scene = Scene::new().await;
    let mut first = start(program(&Handled::default()), named(&scene, "left")).await?;
    let second = start(program(&Handled::default()), named(&scene, "left")).await?;
    let error = within(first.failed()).await.to_string();
    assert!(error.contains("`left`") && error.contains("its own instance name"), "{error}");
    drop(first);
    Ok(stop(second).await?)
}

#[tokio::test]
async fn each_worker_of_a_process_has_its_own_name() -> TestResult {
    let scene = Scene::new().await;
    let mut running: Running = start(program(&Handled::default()), named(&scene, "left").workers(3)).await?;
    one_each(&scene).await;
    drain(&mut running).await?;
    Ok(stop(running).await?)
}

#[tokio::test]
async fn a_second_worker_in_the_folder_is_refused() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    let config = || scene.config().data_dir(folder.path());
    let first = start(program(&Handled::default()), config()).await?;
    let refused = start(program(&Handled::default()), config()).await.err().map(|error| error.to_string());
    let error = refused.ok_or("the folder is in use")?;
    let pid = format!("pid {}", std::process::id());
    for words in ["tables-0", "in use", &pid, "--data-dir"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    stop(first).await?;
    // The folder is free again, also after a crash.
    drop(start(program(&Handled::default()), config()).await?);
    Ok(stop(start(program(&Handled::default()), config()).await?).await?)
}

#[tokio::test]
async fn an_invalid_name_is_refused() {
    for name in ["", "a b", "a/b"] {
        let config = Scene::new().await.config().instance(name);
        let refused = start(program(&Handled::default()), config).await.err();
        assert!(matches!(&refused, Some(RunError::Settings(reason)) if reason.contains("letters")), "{refused:?}");
    }
}
