//! The driver of Kafka Streams' exactly-once tests. Every record must arrive once and in order,
//! also through a repartition; the k-th output of a key must be the result of its first k inputs;
//! and all transactions must be finished.

use marlowe::App;
use marlowe::clock::{Entropy, SeededEntropy};
use marlowe_broker::SystemEntropy;

use crate::crew::{Crew, End};
use crate::load::{Load, numbers};
use crate::place::{PARTITIONS, Place, TestResult};
use crate::records::Partitions;
use crate::verify::{received_all, rekeyed, running, totals};

/// The parts of which a program consists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Copies, smallest numbers and sums, by key.
    Simple,
    /// All parts of `Simple`, and largest numbers and counts by another key.
    Complex,
}

pub(crate) fn other_key(number: i64) -> String {
    format!("digits-{}", number % 23)
}

pub(crate) fn least(before: Option<i64>, number: i64) -> i64 {
    before.map_or(number, |least| least.min(number))
}

pub(crate) fn greatest(before: Option<i64>, number: i64) -> i64 {
    before.map_or(number, |greatest| greatest.max(number))
}

pub(crate) fn sum(before: Option<i64>, number: i64) -> i64 {
    before.unwrap_or(0) + number
}

pub(crate) fn count(before: Option<i64>, _: i64) -> i64 {
    before.unwrap_or(0) + 1
}

pub(crate) fn program(place: &Place, shape: Shape) -> App {
    let mut app = App::new(&place.app);
    app.partitions(PARTITIONS);
    let data = app.topic::<String, i64>(&place.topic("data"));
    let echo = app.topic::<String, i64>(&place.topic("echo"));
    app.agent("echo", data).each(async |(), number| Ok(number)).sink(echo);
    for (name, add) in [("min", least as fn(Option<i64>, i64) -> i64), ("sum", sum)] {
        let rows = app.table::<String, i64>(name);
        let outputs = app.topic::<String, i64>(&place.topic(name));
        app.agent(name, data)
            .with(rows)
            .each_event(async move |rows, event| {
                let now = add(rows.get(&event.key), event.value);
                rows.insert(event.key, now);
                Ok(now)
            })
            .sink(outputs);
    }
    if shape == Shape::Complex {
        let digits = data.group_by(|number| other_key(*number)).named("digits");
        for (name, add) in [("max", greatest as fn(Option<i64>, i64) -> i64), ("cnt", count)] {
            let rows = app.table::<String, i64>(name);
            let outputs = app.topic::<String, i64>(&place.topic(name));
            app.agent(name, digits.clone())
                .with(rows)
                .each_event(async move |rows, event| {
                    let now = add(rows.get(&event.key), event.value);
                    rows.insert(event.key, now);
                    Ok(now)
                })
                .sink(outputs);
        }
    }
    app
}

/// Checks all topics and tables, once all input is processed. Reading the topics to their ends also
/// shows that all transactions are finished.
async fn verify(place: &Place, shape: Shape, sent: u64) -> TestResult {
    let data = place.records("data").await?;
    assert_eq!(data.iter().map(Vec::len).sum::<usize>() as u64, sent);
    received_all("echo", &data, &place.records("echo").await?)?;
    verify_running(place, "min", &data, least).await?;
    verify_running(place, "sum", &data, sum).await?;
    if shape == Shape::Complex {
        let digits = crate::records::records(&*place.broker, &format!("{}-digits-repartition", place.app)).await?;
        rekeyed("digits", &data, &digits, other_key)?;
        verify_running(place, "max", &digits, greatest).await?;
        verify_running(place, "cnt", &digits, count).await?;
    }
    Ok(())
}

/// Checks the outputs, and that the changelog has the table that the input gives when it is
/// computed again.
async fn verify_running(
    place: &Place,
    name: &str,
    input: &Partitions,
    add: impl Fn(Option<i64>, i64) -> i64,
) -> TestResult {
    running(name, input, &place.records(name).await?, &add)?;
    let table = place.table::<i64>(name).await?;
    assert_eq!(table, totals(input, add).into_iter().collect(), "{name}");
    Ok(())
}

/// Ends and starts one worker after the other, under load, while the others run.
async fn rounds(name: &str, shape: Shape, workers: usize, end: End) -> TestResult {
    let seed = SystemEntropy.next();
    println!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    let place = Place::new(name).await?;
    place.create("data").await?;
    let load = Load::begin(&place, numbers());
    let mut crew = Crew::new(&place, workers, || program(&place, shape))?;
    crew.start(0).await?;
    place.grows("echo", 200).await?;
    for worker in 1..workers {
        crew.start(worker).await?;
    }
    for round in 0..workers + 1 {
        place.grows("echo", 100 + chance.next() % 200).await?;
        let worker = round % workers;
        crew.end(worker, end).await?;
        if chance.next().is_multiple_of(3) {
            crew.forget(worker)?;
        }
        if chance.next().is_multiple_of(2) {
            // Meanwhile the other workers have all shards.
            place.grows("echo", 100).await?;
        }
        crew.start(worker).await?;
    }
    let sent = load.end().await?;
    crew.drain().await?;
    verify(&place, shape, sent).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalance_simple() -> TestResult {
    rounds("rebalance-simple", Shape::Simple, 2, End::Stops).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalance_complex() -> TestResult {
    rounds("rebalance-complex", Shape::Complex, 3, End::Stops).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failure_and_recovery() -> TestResult {
    rounds("failure-simple", Shape::Simple, 2, End::Crashes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failure_and_recovery_complex() -> TestResult {
    rounds("failure-complex", Shape::Complex, 3, End::Crashes).await
}
