//! The expected results of a run, counted from the input in a plain loop.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Result;
use crate::contents::Record;
use crate::program::{Account, Event, bucket};

/// The expected rows of all tables, and the expected receipts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recount {
    /// The rows by table and key.
    pub tables: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// The account and the amount of each event, by its number.
    pub receipts: BTreeMap<u64, (String, i64)>,
}

impl Recount {
    /// Counts the input.
    ///
    /// # Errors
    /// When a record of the input is no event.
    pub fn of(input: &[Record]) -> Result<Self> {
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        let mut sums: BTreeMap<&'static str, BTreeMap<String, i64>> = BTreeMap::new();
        let mut receipts = BTreeMap::new();
        let mut add =
            |table, key: &str, more| *sums.entry(table).or_default().entry(key.to_owned()).or_default() += more;
        for record in input {
            let name = String::from_utf8(record.key.clone())?;
            let Event { id, other, amount } = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
            let giver = accounts.entry(name.clone()).or_default();
            giver.given.0 += 1;
            giver.given.1 += amount;
            giver.last = id;
            let taker = accounts.entry(other.clone()).or_default();
            taker.taken.0 += 1;
            taker.taken.1 += amount;
            add("marks", &id.to_string(), 1);
            add("received", &other, amount);
            add("settled", &name, amount);
            add("totals", "events", 1);
            add("totals", &bucket(id), amount);
            receipts.insert(id, (name, amount));
        }
        let mut tables = BTreeMap::new();
        tables.insert("accounts", accounts.into_iter().map(|(name, account)| (name, json!(account))).collect());
        for table in ["marks", "received", "settled", "totals"] {
            let rows = sums.remove(table).unwrap_or_default();
            tables.insert(table, rows.into_iter().map(|(key, sum)| (key, json!(sum))).collect());
        }
        Ok(Self { tables, receipts })
    }
}
