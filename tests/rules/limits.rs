//! Numbers and times that make no sense are refused at the start.

use std::time::Duration;

use marlowe::{App, Config, RunError, Table, Topic};

use crate::common::text::assert_names;
use crate::scene::{Scene, TestResult, start, stop};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Returns the error of a program that does not start. It has a topic, a table, and what `declare`
/// adds.
async fn refusal(declare: impl FnOnce(&mut App, Topic<String, u64>, Table<String, u64>)) -> String {
    let mut app = App::new("shop");
    let (orders, stock) = (app.topic::<String, u64>("orders"), app.table::<String, u64>("stock"));
    declare(&mut app, orders, stock);
    match Scene::new().await.start(app).await {
        Ok(_) => panic!("it started"),
        Err(error @ RunError::Topology(_)) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
    }
}

#[tokio::test]
async fn n3_4_intervals_of_zero_or_of_centuries_are_refused() {
    for wrong in [Duration::ZERO, Duration::from_nanos(1), 200 * YEAR, Duration::MAX] {
        let text = refusal(|app, _, _| app.timer("tick", wrong).run(async |()| Ok(()))).await;
        assert_names(&text, &["timer `tick`", "use 1 ms to"]);
        let text = refusal(|app, _, _| app.timer("tick", wrong).on_leader().run(async |()| Ok(()))).await;
        assert_names(&text, &["timer `tick`", "use 1 ms to"]);
        let text = refusal(|app, _, stock| app.partition_timer("tidy", wrong).with(stock).run(async |_| Ok(()))).await;
        assert_names(&text, &["timer `tidy`", "use 1 ms to"]);
        let text = refusal(|_, orders, _| {
            orders.retention(wrong);
        })
        .await;
        assert_names(&text, &["retention of topic `orders`", "use 1 ms to"]);
        let text = refusal(|_, orders, _| {
            orders.compacted().retention(wrong);
        })
        .await;
        assert_names(&text, &["retention of topic `orders`", "use 1 ms to"]);
    }
    let text = refusal(|app, orders, _| {
        app.agent("count", orders).backoff(Duration::MAX).each(async |(), _| Ok(()));
    });
    assert_names(&text.await, &["agent `count`", "backoff", "too long"]);
}

#[tokio::test]
async fn n3_4_impossible_numbers_are_refused() {
    let text = refusal(|app, _, _| {
        app.partitions(0);
    })
    .await;
    assert_names(&text, &["app `shop`", "0 partitions", "at least one"]);
    assert_names(
        &refusal(|_, orders, _| {
            orders.partitions(0);
        })
        .await,
        &["topic `orders`", "0 partitions"],
    );
    assert_names(
        &refusal(|_, _, stock| {
            stock.partitions(0);
        })
        .await,
        &["table `stock`", "0 partitions"],
    );
    let text = refusal(|app, _, _| {
        app.partitions(u32::MAX);
    })
    .await;
    assert_names(&text, &["app `shop`", "at most 100000"]);
    let text = refusal(|_, orders, _| {
        orders.partitions(u32::MAX);
    })
    .await;
    assert_names(&text, &["topic `orders`", "at most 100000"]);
    let text = refusal(|_, _, stock| {
        stock.cache_rows(0);
    })
    .await;
    assert_names(&text, &["table `stock`", "cache_rows(0)", "at least 1"]);
    for wrong in [0, 4097, u32::MAX] {
        let text = refusal(|app, orders, _| {
            app.agent("count", orders).concurrency(wrong).each(async |(), _| Ok(()));
        });
        assert_names(&text.await, &["agent `count`", &format!("concurrency({wrong})"), "1 to 4096"]);
    }
}

#[tokio::test]
async fn n3_4_schedules_that_can_never_fire_are_refused() {
    for never in ["0 0 30 2 *", "0 12 31 4 *", "0 0 31 2,4,6,9,11 *"] {
        let text = refusal(|app, _, _| app.crontab("never", never, "Europe/Berlin").run(async |()| Ok(()))).await;
        assert_names(&text, &["crontab `never`", never, "never fires"]);
    }
    // The clock of the settings decides what is past.
    let text = refusal(|app, _, _| app.crontab("past", "0 0 0 1 1 * 2001", "UTC").run(async |()| Ok(()))).await;
    assert_names(&text, &["crontab `past`", "never fires"]);
}

#[tokio::test]
async fn n3_4_rare_but_possible_times_are_not_refused() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("rare");
    app.crontab("leap", "0 0 29 2 *", "Europe/Berlin").run(async |()| Ok(()));
    app.timer("yearly", YEAR).run(async |()| Ok(()));
    let orders = app.topic::<String, u64>("orders").partitions(1).retention(50 * YEAR);
    let stock = app.table::<String, u64>("stock").cache_rows(1);
    app.partition_timer("seldom", 99 * YEAR).with(stock).run(async |_| Ok(()));
    app.agent("count", orders).concurrency(4096).backoff(Duration::ZERO).retries(0).each(async |(), _| Ok(()));
    let mut config = scene.config();
    config.close_within = Duration::ZERO;
    config.commit_bytes = usize::MAX;
    config.queue_bytes = usize::MAX;
    stop(start(app, config).await?).await?;
    Ok(())
}

#[tokio::test]
async fn n3_4_settings_that_make_no_sense_are_refused() {
    let scene = Scene::new().await;
    let refusal = async |change: &dyn Fn(&mut Config)| {
        let mut app = App::new("shop");
        app.topic::<String, u64>("orders");
        let mut config = scene.config();
        change(&mut config);
        match app.start(config).await {
            Ok(_) => panic!("it started"),
            Err(error @ RunError::Settings(_)) => error.to_string(),
            Err(other) => panic!("another error: {other}"),
        }
    };
    for wrong in [Duration::ZERO, Duration::from_nanos(1), YEAR, Duration::MAX] {
        let text = refusal(&|config| config.commit_interval = wrong).await;
        assert_names(&text, &["commit_interval", "use 1 ms to a day"]);
        let text = refusal(&|config| config.session_timeout = wrong).await;
        assert_names(&text, &["session_timeout", "use 1 ms to a day"]);
        let text = refusal(&|config| config.trim_interval = Some(wrong)).await;
        assert_names(&text, &["trim_interval", "use 1 ms to a day"]);
    }
    let text = refusal(&|config| config.min_commit_interval = config.commit_interval * 2).await;
    assert_names(&text, &["min_commit_interval", "commit_interval", "at most as much"]);
    for wrong in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        let text = refusal(&|config| config.commit_share = wrong).await;
        assert_names(&text, &["commit_share", "above 0 and at most 1"]);
    }
    assert_names(&refusal(&|config| config.close_within = Duration::MAX).await, &["close_within", "a day"]);
    assert_names(&refusal(&|config| config.workers = 0).await, &["workers", "1 to 1024"]);
    assert_names(&refusal(&|config| config.workers = usize::MAX).await, &["workers", "1 to 1024"]);
    assert_names(&refusal(&|config| config.lanes = Some(0)).await, &["lanes", "1 to 1024"]);
    assert_names(&refusal(&|config| config.lanes = Some(usize::MAX)).await, &["lanes", "1 to 1024"]);
    assert_names(&refusal(&|config| config.commit_bytes = 0).await, &["commit_bytes", "at least 1"]);
    assert_names(&refusal(&|config| config.queue_bytes = 0).await, &["queue_bytes", "at least 1"]);
}

#[tokio::test]
async fn n3_4_no_wait_is_too_long() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("patient");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let taken = app.topic::<String, u64>("taken").partitions(1);
    let double = app.agent("double", numbers).each(async |(), number| Ok(number * 2)).answers();
    app.agent("take", numbers).with(taken).stream(async |taken, mut values| {
        loop {
            let batch = values.take(2, Duration::MAX).await;
            taken.send(&"k".to_owned(), &batch.iter().sum());
        }
    });
    let running = scene.start(app).await?;
    let (double, sums) = (running.open(double), running.open(sums.view()));
    assert_eq!(double.clone().within(Duration::MAX).ask(&"k".to_owned(), &3).await?, 6);
    assert_eq!(double.within(Duration::MAX).ask(&"k".to_owned(), &4).await?, 8);
    assert_eq!(sums.within(Duration::MAX).get("k").await?, None);
    crate::scene::eventually("a batch is taken", async || scene.values("taken").await == ["7"]).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_4_a_take_of_zero_fails_by_the_agents_policy() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("nothing");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    app.agent("take", numbers).retries(0).stream(async |(), mut values| {
        values.next().await;
        loop {
            values.take(0, Duration::from_secs(1)).await;
        }
    });
    let mut running = scene.start(app).await?;
    // The agent fails at its first event, so the start itself succeeds.
    running.open(numbers).send(&"k".to_owned(), &1).await?;
    let text = crate::scene::within(running.failed()).await.to_string();
    assert_names(&text, &["agent `take`", "take at least one event"]);
    Ok(())
}

/// Runs only on the embedded broker, because on Kafka's stage names begin with the room's name.
#[tokio::test]
async fn n2_8_the_longest_names_work_in_a_broker_and_in_a_folder() -> TestResult {
    let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
    let (topic, table) = ("w".repeat(249), "t".repeat(249 - "shop--changelog".len()));
    for config in [scene.config(), scene.config_in(folder.path())] {
        let mut app = App::new("shop");
        let words = app.topic::<String, u64>(&topic).partitions(2);
        let counts = app.table::<String, u64>(&table);
        app.agent("count", words).with(counts).each_event(async |counts, word| {
            counts.update(word.key, |count| *count += word.value);
            Ok(())
        });
        let mut running = start(app, config).await?;
        running.open(words).send(&"k".to_owned(), &5).await?;
        crate::scene::drain(&mut running).await?;
        assert_eq!(running.open(counts.view()).get("k").await?, Some(5));
        stop(running).await?;
    }
    Ok(())
}
