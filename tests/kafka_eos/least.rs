//! The exactly-once test with the guarantee "at least once". Nothing may be missing, and the tables
//! must be those of the input, because restored state never runs ahead of the input; output, and
//! what is computed from it, may be there more than once.

use crate::crew::{Crew, End};
use crate::eos::{Shape, count, greatest, least, other_key, program, sum};
use crate::load::{Load, numbers};
use crate::place::{Place, TestResult};
use crate::verify::{delivered_all, last_values, totals};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failure_and_recovery_at_least_once() -> TestResult {
    let place = Place::new("failure-least").await?;
    place.create("data").await?;
    let load = Load::begin(&place, numbers());
    let build = || {
        let mut app = program(&place, Shape::Complex);
        app.at_least_once();
        app
    };
    let mut crew = Crew::new(&place, 2, build)?;
    crew.start(0).await?;
    crew.start(1).await?;
    for round in 0..4 {
        place.grows("echo", 200).await?;
        crew.end(round % 2, End::Crashes).await?;
        if round >= 2 {
            crew.forget(round % 2)?;
        }
        crew.start(round % 2).await?;
    }
    let sent = load.end().await?;
    crew.drain().await?;

    let data = place.records("data").await?;
    assert_eq!(data.iter().map(Vec::len).sum::<usize>() as u64, sent);
    let again = delivered_all("echo", &data, &place.records("echo").await?)?;
    println!("{again} of {sent} records were delivered again");
    for (name, add) in [("min", least as fn(Option<i64>, i64) -> i64), ("sum", sum)] {
        let wanted = totals(&data, add);
        assert_eq!(place.table::<i64>(name).await?, wanted.clone().into_iter().collect(), "table {name}");
        assert_eq!(last_values(&place.records(name).await?), wanted, "{name}");
    }
    // A record that is twice in the repartition topic is counted twice. The largest number stays
    // the same.
    let digits = crate::records::records(&*place.broker, &format!("{}-digits-repartition", place.app)).await?;
    let mut by_digits = data.clone();
    by_digits.iter_mut().flatten().for_each(|record| record.key = other_key(record.number()));
    delivered_all("digits", &by_digits, &digits)?;
    assert_eq!(last_values(&place.records("max").await?), totals(&by_digits, greatest));
    let least_counts = totals(&by_digits, count);
    let counts = last_values(&place.records("cnt").await?);
    assert_eq!(counts, totals(&digits, count), "the table is that of its own input");
    assert!(least_counts.iter().all(|(key, least)| counts[key] >= *least), "{counts:?} and {least_counts:?}");
    Ok(())
}
