//! The verdict on a run: its results, compared with the expected ones.

use std::collections::BTreeMap;

use marlowe_broker::Broker;
use serde_json::Value;

use crate::Result;
use crate::contents::{Record, records, rows};
use crate::program::{APP, Account, EVENTS, RECEIPTS, Receipt};
use crate::recount::Recount;

/// The number of findings that are kept as text.
const TOLD: usize = 20;

/// The guarantee that a run is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Everything is there exactly once.
    #[default]
    ExactlyOnce,
    /// Sent records count once or more: receipts, and changes of rows through a `group_by` or an
    /// inbox. Rows that an agent writes for events of the input count each event once.
    AtLeastOnce,
}

/// The findings of a run. `lost`, `duplicated` and `wrong` must be 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The guarantee that the run was judged by.
    pub rule: Rule,
    /// The number of events.
    pub events: u64,
    /// The number of missing marks and receipts.
    pub lost: u64,
    /// The number of duplicated marks and receipts.
    pub duplicated: u64,
    /// The number of rows and receipts that are wrong, in a wrong place, or not expected at all.
    pub wrong: u64,
    /// The number of receipts and rows that show repeated events, where the guarantee allows them.
    pub again: u64,
    /// The first findings, as text.
    pub told: Vec<String>,
}

impl Verdict {
    /// Judges everything that is committed.
    ///
    /// # Errors
    /// When a topic cannot be read to its end.
    pub async fn on(broker: &dyn Broker, rule: Rule) -> Result<(Self, Recount)> {
        let input = records(broker, EVENTS).await?;
        let recount = Recount::of(&input)?;
        let mut verdict = Self { rule, events: input.len() as u64, ..Self::default() };
        if recount.receipts.len() != input.len() {
            return Err("two events of the input have one number: the input is not fit to count by".into());
        }
        verdict.receipts(&recount, records(broker, RECEIPTS).await?)?;
        for (table, expected) in &recount.tables {
            let found = rows(broker, APP, table).await?;
            verdict.table(&format!("changelog of {table}"), table, expected, &found.rows);
            for misplaced in found.misplaced {
                verdict.misplaced(misplaced);
            }
        }
        Ok((verdict, recount))
    }

    /// Returns whether everything is correct.
    pub fn is_good(&self) -> bool {
        (self.lost, self.duplicated, self.wrong) == (0, 0, 0)
    }

    /// Compares the rows of a table with the expected ones. `place` says where they were found.
    pub fn table(
        &mut self,
        place: &str,
        table: &str,
        expected: &BTreeMap<String, Value>,
        found: &BTreeMap<String, Value>,
    ) {
        for (key, value) in expected {
            match found.get(key) {
                Some(found) if found == value => {}
                Some(found) if self.rule == Rule::AtLeastOnce && is_repeated(table, value, found) => self.again += 1,
                None if table == "marks" => self.lost(format!("event {key} left no mark ({place})")),
                Some(found) if table == "marks" => self.duplicated(format!("event {key} left {found} marks ({place})")),
                found => self.wrong(format!("{place}: {key} is {found:?}, not {value}")),
            }
        }
        for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            self.wrong(format!("{place}: {key} is {value}, and should not be there"));
        }
    }

    /// Counts a row in a wrong partition.
    pub fn misplaced(&mut self, what: String) {
        self.wrong(what);
    }

    fn receipts(&mut self, recount: &Recount, found: Vec<Record>) -> Result {
        let mut places: BTreeMap<u64, Vec<String>> = recount.receipts.keys().map(|id| (*id, Vec::new())).collect();
        for record in found {
            let account = String::from_utf8(record.key)?;
            let Receipt { id, amount } = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
            places.entry(id).or_default().push(format!("{}@{}", record.partition, record.offset));
            if recount.receipts.get(&id) != Some(&(account.clone(), amount)) {
                self.wrong(format!("receipt {id} of {account} says {amount}"));
            }
        }
        for (id, places) in places {
            match places.len() {
                0 => self.lost(format!("event {id} left no receipt")),
                1 => {}
                _ if self.rule == Rule::AtLeastOnce => self.again += 1,
                more => self.duplicated(format!("event {id} left {more} receipts, at {}", places.join(" and "))),
            }
        }
        Ok(())
    }

    fn lost(&mut self, what: String) {
        self.lost += 1;
        self.tell(what);
    }

    fn duplicated(&mut self, what: String) {
        self.duplicated += 1;
        self.tell(what);
    }

    fn wrong(&mut self, what: String) {
        self.wrong += 1;
        self.tell(what);
    }

    fn tell(&mut self, what: String) {
        if self.told.len() < TOLD {
            self.told.push(what);
        }
    }
}

/// Returns whether repeated records explain how a row differs from the expected one. All amounts
/// are positive.
fn is_repeated(table: &str, expected: &Value, found: &Value) -> bool {
    if table != "accounts" {
        return found.as_i64().zip(expected.as_i64()).is_some_and(|(found, expected)| found > expected);
    }
    let account = |value: &Value| serde_json::from_value::<Account>(value.clone()).ok();
    account(found).zip(account(expected)).is_some_and(|(found, expected)| {
        let is_more = found.taken.0 > expected.taken.0 && found.taken.1 > expected.taken.1;
        is_more && Account { taken: expected.taken, ..found } == expected
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
    use marlowe::{App, Config};
    use marlowe_broker::{NewRecord, Partition, Timestamp, TopicPartition};

    use super::*;
    use crate::input::Input;

    /// Returns a broker on which the program has processed some events.
    async fn processed() -> Arc<EmbeddedBroker> {
        let broker = Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()));
        let mut app = App::new(APP);
        crate::program::declare(&mut app);
        let mut running = app.start(Config::default().broker(broker.clone()).without_web().lanes(2)).await.unwrap();
        let mut input = Input::open(broker.clone(), 7).await.unwrap();
        for _ in 0..4 {
            input.send(100).await.unwrap();
        }
        running.drain().await.unwrap();
        running.stop().await.unwrap();
        broker
    }

    async fn put(broker: &dyn Broker, topic: &str, partition: u32, key: &str, value: &str) {
        let mut producer = broker.producer().unwrap();
        let to = producer.destination(&TopicPartition::new(topic, Partition::new(partition))).unwrap();
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        producer.send(to, NewRecord { timestamp: Timestamp::from_millis(0), key, value, headers: &[] }).unwrap();
        producer.flush().await.unwrap();
    }

    #[tokio::test]
    async fn a_correct_run_has_no_findings() {
        let (verdict, _) = Verdict::on(&*processed().await, Rule::ExactlyOnce).await.unwrap();
        assert_eq!(verdict, Verdict { events: 400, ..Verdict::default() });
    }

    #[tokio::test]
    async fn each_kind_of_wrong_result_is_found() {
        let broker = processed().await;
        let broker = &*broker;
        // Duplicated: a receipt and a mark. Wrong: a total. Misplaced: a row that is otherwise
        // right. Lost: an event that comes after the program has ended.
        put(broker, RECEIPTS, 0, "account-1", r#"{"id":1,"amount":999999}"#).await;
        put(broker, "chaos-marks-changelog", home("2"), "2", "2").await;
        put(broker, "chaos-totals-changelog", home("events"), "events", "401").await;
        put(broker, "chaos-received-changelog", (home("account-1") + 1) % 6, "account-1", "0").await;
        put(broker, EVENTS, home("account-1"), "account-1", r#"{"id":100000,"other":"account-1","amount":5}"#).await;
        let (verdict, _) = Verdict::on(broker, Rule::ExactlyOnce).await.unwrap();
        assert_eq!((verdict.events, verdict.lost, verdict.duplicated), (401, 2, 2), "{verdict:?}");
        assert!(verdict.wrong >= 4 && !verdict.is_good(), "{verdict:?}");
        for words in
            ["event 1 left 2 receipts", "event 2 left 2 marks", "event 100000 left no", "received[account-1] in"]
        {
            assert!(verdict.told.iter().any(|told| told.contains(words)), "{words}: {verdict:?}");
        }
    }

    #[tokio::test]
    async fn at_least_once_allows_repeated_sends_only() {
        let broker = processed().await;
        let broker = &*broker;
        // These are allowed to be repeated: a receipt, a mark, a total, and the amount that an
        // account took.
        let receipt = records(broker, RECEIPTS).await.unwrap().remove(0);
        let (key, value) = (receipt.key, receipt.value.unwrap());
        put(broker, RECEIPTS, 0, &String::from_utf8(key).unwrap(), &String::from_utf8(value).unwrap()).await;
        put(broker, "chaos-marks-changelog", home("2"), "2", "2").await;
        put(broker, "chaos-totals-changelog", home("events"), "events", "401").await;
        let accounts = rows(broker, APP, "accounts").await.unwrap().rows;
        let mut taken = accounts.iter().filter(|(_, account)| account["taken"][0].as_u64() > Some(0));
        let ((one, more), (other, given)) = (taken.next().unwrap(), taken.next().unwrap());
        let (mut more, mut given) = (more.clone(), given.clone());
        more["taken"] = serde_json::json!([more["taken"][0].as_u64().unwrap() + 1, 1_000_000]);
        put(broker, "chaos-accounts-changelog", home(one), one, &more.to_string()).await;
        let (verdict, _) = Verdict::on(broker, Rule::AtLeastOnce).await.unwrap();
        assert_eq!((verdict.again, verdict.is_good()), (4, true), "{verdict:?}");
        // These are not allowed: a total that is too small, and an account that gave more than its
        // events say.
        put(broker, "chaos-totals-changelog", home("events"), "events", "399").await;
        given["given"] = serde_json::json!([given["given"][0].as_u64().unwrap() + 1, 1_000_000]);
        put(broker, "chaos-accounts-changelog", home(other), other, &given.to_string()).await;
        let (verdict, _) = Verdict::on(broker, Rule::AtLeastOnce).await.unwrap();
        assert_eq!((verdict.lost, verdict.duplicated, verdict.wrong), (0, 0, 2), "{verdict:?}");
    }

    fn home(key: &str) -> u32 {
        marlowe_broker::Partitioner::Murmur2.partition(key.as_bytes(), crate::program::PARTITIONS).get()
    }
}
