//! A worker with a name that lasts: a restart moves nothing, and two of one name or in one folder are told apart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use marlowe::{App, Config, Partition, RunError, Running};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, eventually, start, stop, within};

const PARTITIONS: u32 = 6;

/// The partitions that a worker handled events of.
type Handled = Arc<Mutex<BTreeSet<Partition>>>;

fn program(handled: &Handled) -> App {
    let mut app = App::new("instances");
    app.partitions(PARTITIONS);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    let handled = handled.clone();
    app.agent("sum", numbers).with(sums).each_event(async move |sums, event| {
        handled.lock().insert(event.partition);
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    app
}

/// Settings with a session that lasts longer than a restart.
fn named(scene: &Scene, instance: &str) -> Config {
    scene.config().session_timeout(Duration::from_secs(30)).instance(instance)
}

/// An event for each partition.
async fn one_each(scene: &Scene) {
    for partition in 0..PARTITIONS {
        let key = crate::scene::key_where("key", |key| {
            marlowe::Partitioner::Murmur2.partition(key, PARTITIONS) == Partition::new(partition)
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
    // Who has which is settled when each has some, and has the same again.
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

#[tokio::test]
async fn two_workers_of_one_name_are_told_so() -> TestResult {
    let scene = Scene::new().await;
    let mut first = start(program(&Handled::default()), named(&scene, "left")).await?;
    let second = start(program(&Handled::default()), named(&scene, "left")).await?;
    let error = within(first.failed()).await.to_string();
    assert!(error.contains("`left`") && error.contains("an instance of its own"), "{error}");
    drop(first);
    Ok(stop(second).await?)
}

#[tokio::test]
async fn several_workers_of_a_process_are_named_each() -> TestResult {
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
    // It is free again, also after a crash.
    drop(start(program(&Handled::default()), config()).await?);
    Ok(stop(start(program(&Handled::default()), config()).await?).await?)
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused() {
    for name in ["", "a b", "a/b"] {
        let config = Scene::new().await.config().instance(name);
        let refused = start(program(&Handled::default()), config).await.err();
        assert!(matches!(&refused, Some(RunError::Settings(reason)) if reason.contains("letters")), "{refused:?}");
    }
}
