//! The first program: agents that share a table, and a global count.

mod common;

use std::time::Duration;

use common::{TestResult, worker};
use marlowe::{App, Config};

#[tokio::test]
async fn two_agents_share_a_table_and_all_count_globally() -> TestResult {
    let mut app = App::new("counting");
    let first = app.topic::<String, u64>("first");
    let second = app.topic::<String, u64>("second");
    let sums = app.table::<String, u64>("sums");
    let total = app.global_table::<String, u64>("total").merge(|total, more| *total += more);
    for (name, topic) in [("a", first), ("b", second)] {
        app.agent(name, topic.group_by(|number| format!("key-{}", number % 100))).with((sums, total)).each(
            async |(sums, total), number| {
                sums.update(format!("key-{}", number % 100), |sum| *sum += number);
                total.send("all", 1);
                Ok(())
            },
        );
    }
    app.partition_timer("tick", Duration::from_millis(50)).with(sums).run(async |sums| {
        let rows = sums.iter().count() as u64;
        assert_eq!(rows, sums.len());
        Ok(())
    });
    let mut running = worker::start(app, Config::default().without_web().workers(2)).await?;
    let (to_first, to_second) = (running.open(first), running.open(second));
    for number in 0..1000u64 {
        to_first.send(&number.to_string(), &number).await?;
        to_second.send(&number.to_string(), &number).await?;
    }
    worker::drain(&mut running).await?;
    let rows = running.open(sums.view()).iter().await?;
    assert_eq!(rows.len(), 100);
    for (key, sum) in rows {
        let rest: u64 = key["key-".len()..].parse()?;
        assert_eq!(sum, 2 * (0..1000).filter(|number| number % 100 == rest).sum::<u64>(), "{key}");
    }
    for worker in 0..2 {
        assert_eq!(running.open_on(worker, total).get("all"), Some(2000));
    }
    worker::stop(running).await?;
    Ok(())
}
