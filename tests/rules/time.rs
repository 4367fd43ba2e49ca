//! Rule 9: time is an input.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use marlowe::{App, Clock, Timestamp};

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

/// A clock that says what it was told.
struct Told(AtomicI64);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn what_is_sent_from_outside_is_stamped_by_the_clock_and_what_an_event_sends_by_the_event() -> TestResult {
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
    config.clock = Arc::new(Told(AtomicI64::new(77_000)));
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
    config.clock = Arc::new(Told(AtomicI64::new(1_768_015_800_000 - 100)));
    let running = start(app, config).await?;
    eventually("it is half past four in Berlin", async || berlin.load(Ordering::Relaxed) > 0).await;
    pause(50).await;
    assert_eq!(utc.load(Ordering::Relaxed), 0);
    stop(running).await?;
    Ok(())
}
