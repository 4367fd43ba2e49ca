//! A program that was changed: parts that kept their name keep their state and their place.

use marlowe::App;

use crate::scene::{Scene, TestResult, drain, stop};

#[tokio::test]
async fn a_changed_program_goes_on_with_the_parts_that_kept_a_name() -> TestResult {
    let scene = Scene::new().await;
    let mut first = App::new("edited");
    let orders = first.topic::<String, u64>("orders");
    let counts = first.table::<String, u64>("counts");
    first.agent("count", orders).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += 1);
        Ok(())
    });
    let mut running = scene.start(first).await?;
    for number in 0..60u64 {
        running.open(orders).send(&format!("key-{}", number % 10), &number).await?;
    }
    drain(&mut running).await?;
    stop(running).await?;

    // Other parts are declared before and after, and the agent does something else.
    let mut second = App::new("edited");
    let totals = second.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let sums = second.table::<String, u64>("sums");
    let counts = second.table::<String, u64>("counts");
    let orders = second.topic::<String, u64>("orders");
    let copies = second.topic::<String, u64>("copies").partitions(3);
    second.agent("copy", copies).with(totals).each(async |totals, number| {
        totals.send("copies", number);
        Ok(())
    });
    second.agent("count", orders).with((sums, counts, copies)).each_event(async |(sums, counts, copies), event| {
        copies.send(&event.key, &event.value);
        sums.update(&event.key, |sum| *sum += event.value);
        counts.update(event.key, |count| *count += 1000);
        Ok(())
    });
    let mut running = scene.start(second).await?;
    for number in 60..80u64 {
        running.open(orders).send(&format!("key-{}", number % 10), &number).await?;
    }
    drain(&mut running).await?;
    let counts = running.open(counts.view()).iter().await?;
    assert_eq!((counts.len(), counts.iter().all(|(_, count)| *count == 6 + 2000)), (10, true), "{counts:?}");
    let sum: u64 = running.open(sums.view()).iter().await?.into_iter().map(|(_, sum)| sum).sum();
    assert_eq!(sum, (60..80).sum::<u64>());
    assert_eq!(running.open(totals).get("copies"), Some((60..80).sum()));
    stop(running).await?;
    Ok(())
}
