//! Kafka Streams' smoke test: a program of many parts runs on three workers, which end one after
//! the other. At last each of its outputs must say what all of the input adds up to.

use std::collections::HashMap;

use marlowe::App;
use marlowe::clock::{Entropy, SeededEntropy};
use marlowe_broker::SystemEntropy;

use crate::crew::{Crew, End};
use crate::eos::{count, greatest, least, sum};
use crate::load::Load;
use crate::place::{PARTITIONS, Place, TestResult};
use crate::verify::{delivered_all, last_values};

const KEYS: i64 = 20;

/// The number of inputs of each key. They are the numbers from 0 to below this, in some order.
const NUMBERS: i64 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guarantee {
    ExactlyOnce,
    AtLeastOnce,
}

fn program(place: &Place, guarantee: Guarantee) -> App {
    let mut app = App::new(&place.app);
    app.partitions(PARTITIONS);
    if guarantee == Guarantee::AtLeastOnce {
        app.at_least_once();
    }
    let data = app.topic::<String, i64>(&place.topic("data"));
    let echo = app.topic::<String, i64>(&place.topic("echo"));
    app.agent("echo", data).each(async |(), number| Ok(number)).sink(echo);
    let adds = [("min", least as fn(Option<i64>, i64) -> i64), ("max", greatest), ("sum", sum), ("cnt", count)];
    let parts = adds.map(|(name, add)| {
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
        (name, rows, outputs)
    });
    let [min, max, sums, counts] = parts;

    // A value that is computed from two tables is computed again whenever one of them changes.
    let joins = [
        ("dif", min, max, (|min, max| max - min) as fn(i64, i64) -> i64),
        ("avg", sums, counts, |sum, count| sum / count),
    ];
    for (name, one, other, join) in joins {
        let joined = app.topic::<String, i64>(&place.topic(name));
        for (side, _, changes) in [one, other] {
            app.agent(&format!("{name}-{side}"), changes).with((one.1, other.1, joined)).each_event(
                async move |(one, other, joined), event| {
                    if let (Some(one), Some(other)) = (one.get(&event.key), other.get(&event.key)) {
                        joined.send(&event.key, &join(one, other));
                    }
                    Ok(())
                },
            );
        }
    }

    // This table says how many keys have how many numbers. Its rows belong to other shards, so
    // changes go through its inbox.
    let tagg = app.table::<i64, i64>("tagg").merge(|keys, more| *keys += more);
    app.agent("tagg", counts.2).with(tagg.inbox()).each(async |tagg, count| {
        if count > 1 {
            tagg.send(count - 1, -1);
        }
        tagg.send(count, 1);
        Ok(())
    });
    app
}

/// Returns the input in a random order.
fn shuffled(chance: &dyn Entropy) -> Vec<(String, i64)> {
    let mut all: Vec<_> = (0..KEYS * NUMBERS).map(|number| (format!("key-{}", number % KEYS), number / KEYS)).collect();
    for last in (1..all.len()).rev() {
        all.swap(last, chance.next() as usize % (last + 1));
    }
    all
}

async fn smoke(guarantee: Guarantee, end: End) -> TestResult {
    let seed = SystemEntropy.next();
    println!("seed {seed}");
    let place = Place::new("smoke").await?;
    place.create("data").await?;
    let mut crew = Crew::new(&place, 3, || program(&place, guarantee))?;
    crew.start(0).await?;
    let load = Load::begin(&place, shuffled(&SeededEntropy::new(seed)));
    crew.start(1).await?;
    crew.start(2).await?;
    for worker in 0..2 {
        // The first worker ends after a quarter of the input, and the second after a half.
        place.reaches("echo", (KEYS * NUMBERS / 4) as u64 * (worker as u64 + 1)).await?;
        crew.end(worker, end).await?;
    }
    load.all().await?;
    crew.drain().await?;

    let data = place.records("data").await?;
    let again = delivered_all("ALL-RECORDS-DELIVERED", &data, &place.records("echo").await?)?;
    if guarantee == Guarantee::ExactlyOnce {
        assert_eq!(again, 0, "PROCESSED-MORE-THAN-GENERATED");
    }
    let last = async |name| TestResult::Ok(last_values(&place.records(name).await?));
    let all_keys = |value: i64| (0..KEYS).map(|key| (format!("key-{key}"), value)).collect::<HashMap<_, _>>();
    let total: i64 = (0..NUMBERS).sum();
    for (name, wanted) in [("min", 0), ("max", NUMBERS - 1), ("dif", NUMBERS - 1), ("avg", total / NUMBERS)] {
        assert_eq!(last(name).await?, all_keys(wanted), "{name}");
    }
    for (name, wanted) in [("sum", total), ("cnt", NUMBERS)] {
        let found = last(name).await?;
        if guarantee == Guarantee::ExactlyOnce {
            assert_eq!(found, all_keys(wanted), "{name}");
        } else {
            assert!(found.len() as i64 == KEYS && found.values().all(|value| *value >= wanted), "{name}: {found:?}");
        }
    }
    if guarantee == Guarantee::ExactlyOnce {
        let mut tagg = place.table::<i64>("tagg").await?;
        tagg.retain(|_, keys| *keys != 0);
        assert_eq!(tagg, [(NUMBERS.to_string(), KEYS)].into());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_and_workers_that_crash() -> TestResult {
    smoke(Guarantee::ExactlyOnce, End::Crashes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_and_workers_that_stop() -> TestResult {
    smoke(Guarantee::ExactlyOnce, End::Stops).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_and_workers_that_crash() -> TestResult {
    smoke(Guarantee::AtLeastOnce, End::Crashes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_and_workers_that_stop() -> TestResult {
    smoke(Guarantee::AtLeastOnce, End::Stops).await
}
