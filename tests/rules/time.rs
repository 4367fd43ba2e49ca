//! Rule 9: time is an input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use marlowe::App;
use marlowe::broker::Timestamp;
use marlowe::clock::Clock;

use crate::common::clock::SetClock;
use crate::common::worker::crash;
use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

#[tokio::test]
async fn outside_sends_are_stamped_by_the_clock_others_by_the_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("stamped");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let outputs = app.topic::<String, u64>("outputs").partitions(1);
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with((sums, outputs)).each(async |(sums, outputs), number| {
        sums.insert("last", number);
        outputs.send(&"k".to_owned(), &number);
        Ok(())
    });
    let mut config = scene.config();
    config.clock = SetClock::at(77_000);
    let mut running = start(app, config).await?;
    running.open(numbers).send(&"k".to_owned(), &1).await?;
    running.open(numbers).send_at(&"k".to_owned(), &2, Timestamp::from_millis(5)).await?;
    running.open(sums.inbox()).send("other", 3).await?;
    drain(&mut running).await?;
    let stamps = async |topic| scene.records(topic).await.iter().map(|record| record.timestamp).collect::<Vec<_>>();
    assert_eq!(stamps("numbers").await, [77_000, 5]);
    assert_eq!(stamps("outputs").await, [77_000, 5]);
    assert_eq!(stamps("stamped-sums-inbox").await, [77_000]);
    assert!(stamps("stamped-sums-changelog").await.iter().all(|stamp| *stamp == 77_000));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_crontab_follows_the_clock_in_its_zone() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("nightly");
    let (berlin, utc) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    for (name, zone, fired) in [("berlin", "Europe/Berlin", berlin.clone()), ("utc", "UTC", utc.clone())] {
        app.crontab(name, "30 4 * * *", zone).run(async move |()| {
            fired.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    let mut config = scene.config();
    // 10 January 2026, just before 04:30 in Berlin, which is 03:30 UTC.
    config.clock = SetClock::at(1_768_015_800_000 - 100);
    let running = start(app, config).await?;
    eventually("it is half past four in Berlin", async || berlin.load(Ordering::Relaxed) > 0).await;
    pause(50).await;
    assert_eq!(utc.load(Ordering::Relaxed), 0);
    stop(running).await?;
    Ok(())
}

/// 10 January 2026, 12:00 UTC.
const NOON: i64 = 1_768_046_400_000;

const MINUTE: i64 = 60_000;

/// A clock that can be set, and then goes on as tokio's clock does.
struct Set(parking_lot::Mutex<(i64, tokio::time::Instant)>);

impl Set {
    fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self(parking_lot::Mutex::new((millis, tokio::time::Instant::now()))))
    }

    fn set(&self, millis: i64) {
        *self.0.lock() = (millis, tokio::time::Instant::now());
    }
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        let (millis, since) = *self.0.lock();
        Timestamp::from_millis(millis + since.elapsed().as_millis() as i64)
    }
}

/// Builds a program with a crontab for each minute, and returns it with the count of its runs.
fn minutely(on_leader: bool) -> (App, Arc<AtomicU32>) {
    let mut app = App::new("minutely");
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let crontab = app.crontab("minutely", "* * * * *", "UTC");
    let crontab = if on_leader { crontab.on_leader() } else { crontab };
    crontab.run(async move |()| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    (app, runs)
}

#[tokio::test]
async fn n3_5_a_crontab_runs_once_for_a_time_when_the_clock_is_set() -> TestResult {
    let scene = Scene::new().await;
    let (app, runs) = minutely(false);
    let ran = || runs.load(Ordering::Relaxed);
    let clock = Set::at(NOON - 300);
    let mut config = scene.config();
    config.clock = clock.clone();
    let running = start(app, config).await?;
    clock.set(NOON - 100);
    eventually("it is noon", async || ran() == 1).await;
    clock.set(NOON - 299);
    pause(600).await;
    assert_eq!(ran(), 1, "noon comes again, and is over");
    clock.set(NOON + 3 * MINUTE - 100);
    eventually("three minutes went by unseen", async || ran() >= 2).await;
    pause(300).await;
    assert!((2..=3).contains(&ran()), "one run for those that were missed, and one at the third: {}", ran());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_5_a_leaders_crontab_runs_once_for_a_time() -> TestResult {
    let scene = Scene::new().await;
    let with_clock = |clock: &Arc<Set>| {
        let mut config = scene.config();
        config.clock = clock.clone();
        config
    };
    let clock = Set::at(NOON - 2000);
    let ((first, firsts), (second, seconds)) = (minutely(true), minutely(true));
    let first = start(first, with_clock(&clock)).await?;
    clock.set(NOON - 50);
    eventually("the first runs it", async || firsts.load(Ordering::Relaxed) == 1).await;
    // The second worker's clock is slow: when it is noon there, that worker already leads.
    let slow = Set::at(NOON - 1500);
    let second = start(second, with_clock(&slow)).await?;
    stop(first).await?;
    slow.set(NOON - 100);
    pause(1200).await;
    assert_eq!(seconds.load(Ordering::Relaxed), 0, "noon has had its run");
    slow.set(NOON + MINUTE - 50);
    eventually("the second runs what comes next", async || seconds.load(Ordering::Relaxed) == 1).await;
    stop(second).await?;
    // A minute is not run again after a restart either.
    let (third, thirds) = minutely(true);
    let behind = Set::at(NOON + MINUTE - 1000);
    let third = start(third, with_clock(&behind)).await?;
    pause(1500).await;
    assert_eq!(thirds.load(Ordering::Relaxed), 0, "that minute has had its run as well");
    stop(third).await?;
    Ok(())
}

#[tokio::test]
async fn n3_5_a_time_that_came_without_a_leader_has_its_run() -> TestResult {
    let scene = Scene::new().await;
    let clock = Set::at(NOON - 30_000);
    let mut all = Vec::new();
    for _ in 0..2 {
        let (app, runs) = minutely(true);
        let mut config = scene.config_for_crashes();
        config.clock = clock.clone();
        all.push((Some(start(app, config).await?), runs));
    }
    let led = async || {
        let ran: Vec<u32> = all.iter().map(|(_, runs)| runs.load(Ordering::Relaxed)).collect();
        (ran.iter().sum::<u32>() == 1).then(|| ran.iter().position(|ran| *ran == 1).unwrap_or(0))
    };
    clock.set(NOON - 10);
    let mut leader = None;
    eventually("one leads", async || {
        leader = led().await;
        leader.is_some()
    })
    .await;
    // The leader dies, and the next minute begins before another worker takes its place.
    let leader = leader.unwrap_or(0);
    crash(all[leader].0.take().unwrap()).await;
    clock.set(NOON + MINUTE - 1);
    let other = &all[1 - leader].1;
    eventually("the next leader runs it", async || other.load(Ordering::Relaxed) == 1).await;
    pause(300).await;
    assert_eq!(other.load(Ordering::Relaxed), 1);
    stop(all[1 - leader].0.take().unwrap()).await?;
    Ok(())
}

#[tokio::test]
async fn n3_5_a_drain_does_not_run_crontabs() -> TestResult {
    let scene = Scene::new().await;
    let (mut app, runs) = minutely(false);
    let timed = Arc::new(AtomicU32::new(0));
    let counted = timed.clone();
    app.timer("hourly", std::time::Duration::from_secs(3600)).run(async move |()| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let mut config = scene.config();
    config.clock = Set::at(NOON + 1000);
    let mut running = start(app, config).await?;
    drain(&mut running).await?;
    assert_eq!(timed.load(Ordering::Relaxed), 1, "a timer fires once more");
    assert_eq!(runs.load(Ordering::Relaxed), 0, "a crontab runs at the times it names");
    stop(running).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_5_a_worker_that_starts_with_a_clock_behind_answers_reads() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    let build = || {
        let mut app = App::new("behind");
        let numbers = app.topic::<String, u64>("numbers").partitions(2);
        let sums = app.table::<String, u64>("sums");
        app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
            sums.update(event.key, |sum| *sum += event.value);
            Ok(())
        });
        (app, numbers, sums)
    };
    // Each run is killed. Meanwhile, the machine's clock is set back, by a day and by ten years.
    for (round, back) in [(1, 0), (2, 24 * 60 * MINUTE), (3, 10 * 365 * 24 * 60 * MINUTE)] {
        let (app, numbers, sums) = build();
        let mut config = scene.config_in(folder.path());
        config.clock = Set::at(NOON - back);
        let mut running = start(app, config).await?;
        running.open(numbers).send(&"key".to_owned(), &1).await?;
        drain(&mut running).await?;
        let view = running.open(sums.view());
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), view.get("key")).await?;
        assert_eq!(read?, Some(round), "with a clock that is {back} ms behind");
        crash(running).await;
    }
    Ok(())
}
