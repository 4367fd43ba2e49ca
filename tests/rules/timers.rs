//! Timers: once per worker, once per cluster on the leader, and in every shard as part of its
//! transactions.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use marlowe::App;
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

const OFTEN: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_timer_runs_on_every_worker_or_only_on_the_leader() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("places");
    let everywhere = app.topic::<String, String>("everywhere").partitions(1);
    // A worker's timer runs on a thread of that worker, so the thread tells which worker it was.
    let (workers, leaders) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(Mutex::new(HashSet::new())));
    for (name, seen) in [("each", workers.clone()), ("leader", leaders.clone())] {
        let timer = app.timer(name, OFTEN).with(everywhere);
        let timer = if name == "leader" { timer.on_leader() } else { timer };
        timer.run(async move |_| {
            seen.lock().insert(std::thread::current().id());
            Ok(())
        });
    }
    let running = start(app, scene.config().workers(2)).await?;
    // The leader may change while the workers share out the shards.
    eventually("one of them leads", async || {
        workers.lock().clear();
        leaders.lock().clear();
        pause(100).await;
        (workers.lock().len(), leaders.lock().len()) == (2, 1)
    })
    .await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn the_leaders_timer_moves_when_its_process_stops() -> TestResult {
    let scene = Scene::new().await;
    let build = |runs: &Arc<AtomicU32>| {
        let mut app = App::new("moving");
        let runs = runs.clone();
        app.timer("lead", OFTEN).on_leader().run(async move |()| {
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        app
    };
    let (ours, theirs) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let first = start(build(&ours), scene.config()).await?;
    eventually("the first leads", async || ours.load(Ordering::Relaxed) > 2).await;
    let second = start(build(&theirs), scene.config()).await?;
    let led_by = |one: &Arc<AtomicU32>| one.load(Ordering::Relaxed);
    let mut first_leads = false;
    // The leader may change while the workers share out the shards.
    eventually("one of them leads", async || {
        let before = (led_by(&ours), led_by(&theirs));
        pause(150).await;
        let ran = (led_by(&ours) > before.0, led_by(&theirs) > before.1);
        first_leads = ran.0;
        ran.0 != ran.1
    })
    .await;
    let (leader, other, others_runs) = if first_leads { (first, second, &theirs) } else { (second, first, &ours) };
    let before = led_by(others_runs);
    stop(leader).await?;
    eventually("the other leads", async || led_by(others_runs) > before + 2).await;
    stop(other).await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_timer_runs_and_commits_with_each_shard() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("shards");
    app.partitions(4);
    let ticks = app.table::<String, u64>("ticks").partition_local();
    let told = app.topic::<String, u64>("told").partitions(1);
    let failing = app.table::<String, u64>("failing").partition_local();
    app.partition_timer("tick", OFTEN).with((ticks, told)).run(async |(ticks, told)| {
        ticks.update("ticks", |ticks| *ticks += 1);
        told.send(&"k".to_owned(), &ticks.get("ticks").unwrap_or(0));
        Ok(())
    });
    app.partition_timer("fail", OFTEN).with(failing).run(async |failing| {
        failing.insert("written", 1);
        Err("after it wrote".into())
    });
    let mut running = scene.start(app).await?;
    pause(120).await;
    drain(&mut running).await?;
    let (view, failing) = (running.open(ticks.view()), running.open(failing.view()));
    let rows = view.iter().await?;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|(_, ticks)| *ticks >= 2), "{rows:?}");
    assert!(failing.is_empty().await?, "a firing that fails leaves nothing");
    stop(running).await?;
    // Nothing changes after the stop. Each tick has sent a record of what it wrote.
    assert_eq!(scene.values("told").await.len() as u64, scene_ticks(&scene).await);
    Ok(())
}

/// Returns the sum of the last committed ticks of all partitions.
async fn scene_ticks(scene: &Scene) -> u64 {
    let mut last = std::collections::HashMap::new();
    for record in scene.records("shards-ticks-changelog").await {
        last.insert(record.partition, record.value.unwrap().parse::<u64>().unwrap());
    }
    last.values().sum()
}

#[tokio::test]
async fn ticks_that_were_missed_are_skipped_and_runs_never_overlap() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("missed");
    let ticks = app.table::<String, u64>("ticks").partitions(1);
    let (slow, shard) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (counted, inside) = (slow.clone(), Arc::new(AtomicBool::new(false)));
    app.timer("slow", OFTEN).run(async move |()| {
        assert!(!inside.swap(true, Ordering::SeqCst));
        counted.fetch_add(1, Ordering::Relaxed);
        pause(105).await;
        inside.store(false, Ordering::SeqCst);
        Ok(())
    });
    let counted = shard.clone();
    app.partition_timer("slow-shard", OFTEN).with(ticks).run(async move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        pause(105).await;
        Ok(())
    });
    let running = scene.start(app).await?;
    pause(600).await;
    for (name, runs) in [("timer", slow), ("partition timer", shard)] {
        let runs = runs.load(Ordering::Relaxed);
        assert!((2..=7).contains(&runs), "{name}: {runs} runs in 600 ms of 105 ms each");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_timer_that_fails_or_panics_runs_again_in_its_time() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("again");
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    app.timer("fail", OFTEN).run(async move |()| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Err("the first".into()),
        1 => panic!("the second"),
        _ => Ok(()),
    });
    let running = scene.start(app).await?;
    eventually("it runs on", async || runs.load(Ordering::Relaxed) > 3).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn sends_of_timers_and_tasks_are_applied_once_by_the_owner() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("outside");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let rows = app.table::<String, u64>("rows").merge(|row, more| *row += more);
    const TICKS: u32 = 30;
    let (begun, sent) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let done = sent.clone();
    app.timer("tick", OFTEN).with((totals, rows.inbox())).run(async move |(totals, rows)| {
        if begun.fetch_add(1, Ordering::Relaxed) < TICKS {
            totals.send("ticks", 1).await?;
            rows.send("ticks", 1).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    app.task("once").with(totals).run(async |totals| {
        totals.send("tasks", 1).await?;
        Ok(())
    });
    let mut running = start(app, scene.config().workers(3)).await?;
    eventually("all ticks are sent", async || sent.load(Ordering::Relaxed) == TICKS).await;
    drain(&mut running).await?;
    for worker in 0..3 {
        let copy = running.open_on(worker, totals);
        assert_eq!((copy.get("ticks"), copy.get("tasks")), (Some(u64::from(TICKS)), Some(3)), "worker {worker}");
    }
    assert_eq!(running.open(rows.view()).get("ticks").await?, Some(u64::from(TICKS)));
    stop(running).await?;
    Ok(())
}
