//! Rule 7: a revoked shard is committed and closed before it is handed over, and a lost one is
//! dropped uncommitted. The other shards keep running.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe::broker::Partition;
use marlowe::{App, Table, Topic};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

const PARTITIONS: u32 = 4;

/// The partitions that have an event in hand, each with its worker.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<HashMap<Partition, &'static str>>>);

impl Guard {
    fn enter(&self, partition: Partition, who: &'static str) {
        let other = self.0.lock().insert(partition, who);
        assert!(other.is_none(), "partition {partition} is in hand at {who} and at {other:?}");
    }

    fn leave(&self, partition: Partition) {
        self.0.lock().remove(&partition);
    }
}

pub(crate) struct Places {
    pub(crate) numbers: Topic<String, u64>,
    pub(crate) sums: Table<String, u64>,
}

pub(crate) fn program(who: &'static str, guard: &Guard, handled: &Arc<AtomicU64>) -> (App, Places) {
    let mut app = App::new("handed");
    app.partitions(PARTITIONS);
    let numbers = app.topic::<String, u64>("numbers");
    let outputs = app.topic::<String, u64>("outputs");
    let sums = app.table::<String, u64>("sums");
    let (guard, handled) = (guard.clone(), handled.clone());
    app.agent("sum", numbers)
        .with(sums)
        .each_event(async move |sums, event| {
            guard.enter(event.partition, who);
            tokio::task::yield_now().await;
            sums.update(event.key, |sum| *sum += event.value);
            guard.leave(event.partition);
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(event.value)
        })
        .sink(outputs);
    (app, Places { numbers, sums })
}

pub(crate) async fn send(running: &marlowe::Running, numbers: Topic<String, u64>, range: std::ops::Range<u64>) {
    let to = running.open(numbers);
    for number in range {
        to.send(&format!("key-{}", number % 23), &number).await.unwrap();
    }
}

pub(crate) async fn check(
    scene: &Scene,
    running: &marlowe::Running,
    sums: Table<String, u64>,
    count: u64,
) -> TestResult {
    let total: u64 = running.open(sums.view()).iter().await?.into_iter().map(|(_, sum)| sum).sum();
    assert_eq!(total, (0..count).sum::<u64>());
    let mut outputs: Vec<u64> =
        scene.values("outputs").await.iter().map(|value| value.parse()).collect::<Result<_, _>>()?;
    outputs.sort();
    assert_eq!(outputs, (0..count).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn workers_join_and_leave_and_each_event_is_processed_once() -> TestResult {
    join_and_leave(|_| {}).await
}

#[tokio::test]
async fn at_least_once_is_exactly_once_without_crashes() -> TestResult {
    join_and_leave(|app| {
        app.at_least_once();
    })
    .await
}

async fn join_and_leave(guarantee: impl Fn(&mut App)) -> TestResult {
    let scene = Scene::new().await;
    let (guard, handled) = (Guard::default(), Arc::new(AtomicU64::new(0)));
    let (mut app, places) = program("first", &guard, &handled);
    guarantee(&mut app);
    let mut first = start(app, scene.config()).await?;
    send(&first, places.numbers, 0..400).await;
    let theirs = Arc::new(AtomicU64::new(0));
    let (mut app, _) = program("second", &guard, &theirs);
    guarantee(&mut app);
    let second = start(app, scene.config()).await?;
    send(&first, places.numbers, 400..1200).await;
    eventually("the second has its share", async || theirs.load(Ordering::Relaxed) > 100).await;
    send(&first, places.numbers, 1200..1600).await;
    stop(second).await?;
    send(&first, places.numbers, 1600..2000).await;
    drain(&mut first).await?;
    assert!(guard.0.lock().is_empty());
    check(&scene, &first, places.sums, 2000).await?;
    let total = handled.load(Ordering::Relaxed) + theirs.load(Ordering::Relaxed);
    assert_eq!(total, 2000, "who hands over calmly repeats nothing");
    stop(first).await?;
    Ok(())
}

#[tokio::test]
async fn a_crashed_workers_shards_move_when_its_session_expires() -> TestResult {
    let scene = Scene::new().await;
    let handled = Arc::new(AtomicU64::new(0));
    let (app, places) = program("first", &Guard::default(), &handled);
    let mut first = start(app, scene.config_for_crashes()).await?;
    let theirs = Arc::new(AtomicU64::new(0));
    let (app, _) = program("second", &Guard::default(), &theirs);
    let second = start(app, scene.config_for_crashes()).await?;
    send(&first, places.numbers, 0..400).await;
    eventually("the second has its share", async || theirs.load(Ordering::Relaxed) > 50).await;
    drop(second);
    send(&first, places.numbers, 400..800).await;
    drain(&mut first).await?;
    check(&scene, &first, places.sums, 800).await?;
    stop(first).await?;
    Ok(())
}

#[tokio::test]
async fn other_shards_keep_running_while_one_waits_for_its_event() -> TestResult {
    let scene = Scene::new().await;
    let (stuck, in_hand) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let handled = Arc::new(AtomicU64::new(0));
    let build = |who: &'static str| {
        let mut app = App::new("others");
        app.partitions(2);
        let slow = app.topic::<String, u64>("slow");
        let quick = app.topic::<String, u64>("quick");
        let (stuck, handled, in_hand) = (stuck.clone(), handled.clone(), in_hand.clone());
        app.agent("slow", slow).each(async move |(), _| {
            in_hand.fetch_add(1, Ordering::Relaxed);
            while who == "first" && stuck.load(Ordering::Relaxed) {
                pause(5).await;
            }
            Ok(())
        });
        app.agent("quick", quick).each(async move |(), _| {
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        (app, quick)
    };
    let (app, quick) = build("first");
    let mut config = scene.config();
    // A shard that closes waits as long as its event takes.
    config.close_within = Duration::from_secs(3600);
    let mut first = start(app, config.clone()).await?;
    for partition in 0..2 {
        scene.produce("slow", partition, None, Some(b"1")).await;
    }
    eventually("the first has slow events in hand", async || in_hand.load(Ordering::Relaxed) == 2).await;
    // The join of the second takes shards of `slow` from the first, which must wait for their
    // events.
    let (app, _) = build("second");
    let second = app.start(config).await?;
    pause(50).await;
    let before = handled.load(Ordering::Relaxed);
    for number in 0..40 {
        first.open(quick).send(&format!("key-{number}"), &number).await?;
    }
    eventually("the quick shards go on", async || handled.load(Ordering::Relaxed) == before + 40).await;
    stuck.store(false, Ordering::Relaxed);
    drain(&mut first).await?;
    stop(first).await?;
    stop(second).await?;
    Ok(())
}
