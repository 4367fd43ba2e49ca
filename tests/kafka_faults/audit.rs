//! Checks of what is committed: all of it must be there, and only once.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use marlowe::Running;
use marlowe_broker::{Isolation, Offset, OffsetSpec, Partition, Partitioner, SharedBroker, TopicPartition};

use crate::program::Program;
use crate::scene::{LONGEST, Scene, within};

/// A committed record.
pub(crate) struct Record {
    pub(crate) partition: Partition,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) offset: Offset,
}

/// Returns all that is committed in a topic, in order within its partitions.
pub(crate) async fn records(broker: &SharedBroker, topic: &str) -> Vec<Record> {
    read(broker, topic, Isolation::ReadCommitted).await
}

/// Returns all records of a topic, in order within its partitions.
async fn read(broker: &SharedBroker, topic: &str, isolation: Isolation) -> Vec<Record> {
    let partitions: Vec<_> = Partition::all(broker.topic(topic).await.unwrap().unwrap().partitions).collect();
    let starts = broker.offsets(topic, &partitions, OffsetSpec::Earliest).await.unwrap();
    let ends = broker.offsets(topic, &partitions, OffsetSpec::Latest).await.unwrap();
    let mut reader = broker.reader(isolation).unwrap();
    let mut left = BTreeMap::new();
    for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
        if start < end {
            left.insert(reader.assign(&TopicPartition::new(topic, partition), start).unwrap(), (partition, end));
        }
    }
    let mut records = Vec::new();
    let mut last: BTreeMap<Partition, Option<Offset>> = BTreeMap::new();
    while !left.is_empty() {
        for fetched in within(reader.poll()).await.unwrap() {
            let Some((partition, end)) = left.get(&fetched.source).copied() else { continue };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let last = last.entry(partition).or_insert(None);
            for index in 0..fetched.batch.len() {
                let record = fetched.batch.get(index);
                assert!(*last < Some(record.offset), "{topic}[{partition}]: {} was read after {last:?}", record.offset);
                *last = Some(record.offset);
                let (key, value) = (record.key.map(text).unwrap_or_default(), record.value.map(text));
                records.push(Record { partition, key, value, offset: record.offset });
            }
            if fetched.batch.next_offset() >= end {
                left.remove(&fetched.source);
            }
        }
    }
    records
}

/// Returns the numbers in a topic, sorted.
async fn numbers(broker: &SharedBroker, topic: &str) -> Vec<u64> {
    let records = records(broker, topic).await;
    let mut numbers: Vec<u64> = records.iter().map(|record| record.value.as_ref().unwrap().parse().unwrap()).collect();
    numbers.sort();
    numbers
}

/// Returns which of the numbers below `fed` are lost or there more than once, or `None` if all is
/// well.
fn amiss(fed: u64, found: &[u64]) -> Option<String> {
    let mut times: BTreeMap<u64, u64> = (0..fed).map(|number| (number, 0)).collect();
    found.iter().for_each(|number| *times.entry(*number).or_default() += 1);
    let lost: Vec<u64> = times.iter().filter(|(_, times)| **times == 0).map(|(number, _)| *number).collect();
    let twice: Vec<u64> = times.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
    let some = |numbers: &[u64]| format!("{} ({:?} …)", numbers.len(), &numbers[..numbers.len().min(5)]);
    let is_well = lost.is_empty() && twice.is_empty() && found.len() as u64 == fed;
    (!is_well).then(|| format!("of {fed}, lost: {}, more than once: {}", some(&lost), some(&twice)))
}

/// Describes where the numbers that are lost from a topic are in its log. A number that is there
/// was in a transaction that was aborted, and a number that is not there was never written.
async fn traces(broker: &SharedBroker, topic: &str, fed: u64) -> String {
    let committed = numbers(broker, topic).await;
    let lost: Vec<u64> = (0..fed).filter(|number| committed.binary_search(number).is_err()).collect();
    let all = read(broker, topic, Isolation::ReadUncommitted).await;
    let place = |number: &u64| {
        let text = number.to_string();
        let at = all.iter().filter(|record| record.value.as_ref() == Some(&text));
        let at: Vec<String> = at.map(|record| format!("{}@{}", record.partition, record.offset)).collect();
        format!("{number}: {}", if at.is_empty() { "nowhere".to_owned() } else { at.join(" ") })
    };
    lost.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// Returns the metrics that show people why a worker does not go on.
pub(crate) async fn state(address: SocketAddr) -> String {
    let page = metrics(address).await;
    let matters = ["marlowe_lag", "marlowe_shards", "marlowe_worker_state", "marlowe_restore", "dropped_total"];
    let lines = page.lines().filter(|line| !line.starts_with('#') && matters.iter().any(|name| line.contains(name)));
    lines.collect::<Vec<_>>().join("; ")
}

/// Returns a metric of a worker, summed over its labels.
pub(crate) async fn count(address: SocketAddr, name: &str) -> f64 {
    let page = metrics(address).await;
    let samples = page.lines().filter_map(|line| {
        let (sample, value) = line.rsplit_once(' ')?;
        (sample.split('{').next() == Some(name)).then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}

/// Returns a worker's page of metrics.
async fn metrics(address: SocketAddr) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let answer = ureq::get(format!("http://{address}/metrics")).call();
        answer.and_then(|mut answer| answer.body_mut().read_to_string())
    });
    asked.await.unwrap().unwrap_or_else(|error| error.to_string())
}

impl Scene {
    /// Checks that each of `fed` events was counted once and passed on once, after `worker` has
    /// processed all of them. Also checks that the worker's table has the same rows as the
    /// changelog.
    pub(crate) async fn check(&self, program: &Program, fed: u64, worker: &mut Running) {
        let address = worker.web_addresses()[0];
        match tokio::time::timeout(LONGEST, worker.drain()).await {
            Ok(drained) => drained.unwrap_or_else(|error| panic!("{error}")),
            Err(_) => panic!("the events were not done within {LONGEST:?}: {}", state(address).await),
        }
        // All differences are told, because they tell more about a fault than the first one alone.
        let mut wrong = Vec::new();
        for (what, topic) in [("what was fed", program.events()), ("what was passed on", program.outputs())] {
            if let Some(amiss) = amiss(fed, &numbers(&self.broker, &topic).await) {
                let traces = traces(&self.broker, &topic, fed).await;
                wrong.push(format!("{what}: {amiss}; in the log of `{topic}`: {traces}"));
            }
        }

        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in records(&self.broker, &program.events()).await {
            *counts.entry(event.key).or_default() += 1;
        }
        let mut logged = BTreeMap::new();
        for Record { partition, key, value, .. } in records(&self.broker, &program.changelog()).await {
            assert_eq!(Partitioner::Murmur2.partition(key.as_bytes(), crate::program::PARTITIONS), partition, "{key}");
            logged.insert(key, value.unwrap().parse::<u64>().unwrap());
        }
        let view = worker.open(program.declare().1.counts.view());
        let rows: BTreeMap<String, u64> = within(view.iter()).await.unwrap().into_iter().collect();
        for (what, mut table) in [("its log", logged), ("its owners", rows)] {
            let besides = (0..program.rows).filter(|number| table.remove(&Program::row(*number)) == Some(*number));
            assert_eq!(besides.count() as u64, program.rows, "rows besides, as {what} has them");
            let differs = counts.iter().filter(|(key, count)| table.get(*key) != Some(count));
            wrong.extend(
                differs.map(|(key, count)| format!("{key}, as {what} has it: {:?} and not {count}", table.get(key))),
            );
            wrong.extend(
                table
                    .keys()
                    .filter(|key| !counts.contains_key(*key))
                    .map(|key| format!("{key}, as {what} has it: a row")),
            );
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
