//! Rules 1 and 2 when all kinds of writers change one row at once: agents that read, wait and
//! write, agents that are asked, timers of the shard, and senders from outside. No change is lost,
//! and no writer sees half of one.

use std::collections::BTreeSet;
use std::time::Duration;

use marlowe::App;

use crate::scene::{LONGEST, Record, Scene, TestResult, drain, pause, start, stop, within};

const ROW: &str = "all";

#[tokio::test]
async fn asks_timers_agents_and_senders_lose_no_change_of_one_row() -> TestResult {
    const EACH: u64 = 60;
    let scene = Scene::new().await;
    let mut app = App::new("one-row");
    app.partitions(1);
    let questions = app.topic::<String, u64>("questions");
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums").merge(|sum, more| *sum += more);
    let ask = app
        .agent("ask", questions)
        .with(sums)
        .concurrency(4)
        .each(async |sums, number| {
            let before = sums.get(ROW).unwrap_or_default();
            pause(number % 3).await;
            sums.insert(ROW, before + 1);
            Ok(before + 1)
        })
        .answers();
    app.agent("add", numbers).with(sums).each(async |sums, number| {
        let before = sums.get(ROW).unwrap_or_default();
        pause(number % 2).await;
        sums.insert(ROW, before + 1);
        Ok(())
    });
    app.partition_timer("tick", Duration::from_millis(3)).with(sums).run(async |sums| {
        if sums.get("ticks").unwrap_or_default() < EACH {
            let before = sums.get(ROW).unwrap_or_default();
            pause(1).await;
            sums.insert(ROW, before + 1);
            sums.update("ticks", |ticks| *ticks += 1);
        }
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    let asker = running.open_on(0, ask).within(LONGEST);
    let (sender, inbox) = (running.open_on(1, numbers), running.open_on(1, sums.inbox()));
    let asks = (0..EACH).map(|number| {
        let asker = &asker;
        async move { asker.ask(&format!("key-{number}"), &number).await }
    });
    let asks = futures_util::future::try_join_all(asks);
    let sends = async {
        for number in 0..EACH {
            sender.send(&format!("key-{number}"), &number).await?;
            inbox.send(ROW, 1).await?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let (answers, sent) = within(futures_util::future::join(asks, sends)).await;
    sent?;
    let answers = answers?;
    drain(&mut running).await?;
    let distinct: BTreeSet<u64> = answers.iter().copied().collect();
    assert_eq!(distinct.len() as u64, EACH, "two that asked were told the same: {answers:?}");
    assert!(answers.iter().all(|answer| (1..=4 * EACH).contains(answer)));
    stop(running).await?;
    // After the stop, nothing changes any more.
    let last = |row: &str, records: &[Record]| {
        let of_row = records.iter().rfind(|record| record.key.as_deref() == Some(row));
        of_row.and_then(|record| record.value.as_ref()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let records = scene.records("one-row-sums-changelog").await;
    let (all, ticks) = (last(ROW, &records), last("ticks", &records));
    assert_eq!(all, 3 * EACH + ticks);
    assert!(ticks > 0, "the timer fired");
    Ok(())
}
