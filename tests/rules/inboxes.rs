//! Changes that are sent to a table: changes that merge, changes that replace, and changes that
//! cannot be applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use marlowe::App;
use marlowe::broker::Partitioner;
use marlowe::table::ViewError;
use marlowe::topology::TopologyError;

use crate::scene::{Scene, TestResult, drain, eventually, start, stop};

#[tokio::test]
async fn a_row_is_replaced_in_one_change_also_where_changes_merge() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("replacing");
    let orders = app.topic::<String, i64>("orders");
    let sums = app.table::<String, i64>("sums").merge(|sum, more| *sum += more);
    app.agent("order", orders).with(sums.inbox()).each(async |sums, number| {
        // Within one event, a replacement drops what came before it, and what comes after is merged
        // into it.
        sums.send("inside", number);
        sums.replace("inside", 1000);
        sums.send("inside", 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let client = running.open(sums.inbox());
    client.send("outside", 5).await?;
    client.replace("outside", 70).await?;
    client.send("outside", 7).await?;
    running.open(orders).send(&"a".to_owned(), &9).await?;
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!((view.get("inside").await?, view.get("outside").await?), (Some(1001), Some(77)));
    // A replacement is one record, so no reader sees the row missing in between.
    assert_eq!(scene.records("replacing-sums-inbox").await.len(), 3 + 1);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn agents_timers_and_outside_senders_lose_no_change_of_a_row() -> TestResult {
    const EVENTS: i64 = 60;
    const SENT: i64 = 20;
    let often = Duration::from_millis(5);
    let scene = Scene::new().await;
    let mut app = App::new("at-once");
    let (near, far) = (app.topic::<String, i64>("near"), app.topic::<String, i64>("far").partitions(3));
    // A row is a sum, and the number of times that a partition timer added to it.
    let rows = app.table::<String, (i64, i64)>("rows").merge(|row, more| row.0 += more.0);
    app.agent("near", near).with(rows).each_event(async |rows, event| {
        let (sum, ticks) = rows.get(&event.key).unwrap_or_default();
        tokio::task::yield_now().await;
        rows.insert(event.key, (sum + event.value, ticks));
        Ok(())
    });
    app.agent("far", far).with(rows.inbox()).each(async |rows, number| {
        rows.send("one", (number, 0));
        Ok(())
    });
    app.partition_timer("tick", often).with(rows).run(async move |rows| {
        for (key, (sum, ticks)) in rows.iter() {
            tokio::task::yield_now().await;
            rows.insert(key, (sum + 1_000_000, ticks + 1));
        }
        Ok(())
    });
    let (begun, sent) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let done = sent.clone();
    app.timer("send", often).with(rows.inbox()).run(async move |rows| {
        if begun.fetch_add(1, Ordering::Relaxed) < SENT {
            rows.send("one", (1_000_000_000, 0)).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    let (to_near, to_far, client) = (running.open(near), running.open(far), running.open(rows.inbox()));
    for number in 0..EVENTS {
        to_near.send(&"one".to_owned(), &1).await?;
        to_far.send(&number.to_string(), &1000).await?;
        client.send("one", (1_000_000_000_000, 0)).await?;
    }
    eventually("the timer has sent", async || sent.load(Ordering::Relaxed) == SENT).await;
    drain(&mut running).await?;
    let (sum, ticks) = running.open(rows.view()).get("one").await?.unwrap_or_default();
    assert!(ticks > 0);
    assert_eq!(sum, EVENTS * (1 + 1000 + 1_000_000_000_000) + SENT * 1_000_000_000 + ticks * 1_000_000);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_bad_change_is_skipped_or_dead_lettered_as_declared() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("garbage");
    let letters = app.topic::<String, String>("letters").partitions(1);
    let kept = app.table::<String, i64>("kept").partitions(1).inbox_dead_letter(letters);
    let skipped = app.table::<String, i64>("skipped").partitions(1).inbox_skip();
    let mut running = scene.start(app).await?;
    for table in ["kept", "skipped"] {
        let inbox = format!("garbage-{table}-inbox");
        scene.produce(&inbox, 0, Some(b"a"), Some(b"no number")).await;
        scene.produce(&inbox, 0, None, Some(b"1")).await;
        scene.produce(&inbox, 0, Some(b"b"), Some(b"2")).await;
    }
    drain(&mut running).await?;
    for table in [kept, skipped] {
        assert_eq!(running.open(table.view()).iter().await?, [("b".to_owned(), 2)]);
    }
    let letters = scene.records("letters").await;
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].value.as_deref(), Some("no number"));
    assert!(letters.iter().all(|letter| letter.header("marlowe-topic") == Some("garbage-kept-inbox")));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_local_table_has_no_inbox_and_no_reads_by_key() -> TestResult {
    let mut app = App::new("homeless");
    let orders = app.topic::<String, i64>("orders");
    let local = app.table::<String, i64>("local").partition_local();
    app.agent("send", orders).with(local.inbox()).each(async |local, number| {
        local.send("a", number);
        Ok(())
    });
    let error = app.topology().unwrap_err();
    assert!(matches!(error, TopologyError::NoInbox { .. }), "{error}");
    for part in ["agent `send`", "`local`", "partition-local"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }

    let scene = Scene::new().await;
    let mut app = App::new("homeless");
    let local = app.table::<String, i64>("local").partition_local();
    let running = scene.start(app).await?;
    let refused = running.open(local.view()).get("a").await;
    assert!(matches!(refused, Err(ViewError::PartitionLocal { .. })), "{refused:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_under_another_key_can_follow_the_tables_partitioner() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("crc");
    let words = app.topic::<(), String>("words");
    let counts = app.table::<String, u64>("counts").partitioner(Partitioner::Crc32);
    let by_word = words.group_by(|word| word.clone()).partitioner(Partitioner::Crc32);
    app.agent("count", by_word).with(counts).each(async |counts, word| {
        counts.update(word, |count| *count += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for number in 0..60 {
        running.open(words).send(&(), &format!("word-{}", number % 20)).await?;
    }
    drain(&mut running).await?;
    let rows = running.open(counts.view()).iter().await?;
    assert_eq!((rows.len(), rows.iter().all(|(_, count)| *count == 3)), (20, true));
    stop(running).await?;
    Ok(())
}
