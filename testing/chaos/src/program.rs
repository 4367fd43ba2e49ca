//! The program of the scenario `mixed`. It has agents that share a table, a `group_by`, changes
//! sent to rows of other accounts, a global table, an output topic, and a partition timer that
//! changes rows and sends.

use std::time::Duration;

use marlowe::App;
use serde::{Deserialize, Serialize};

/// The name of the app.
pub const APP: &str = "chaos";

/// The number of partitions of all topics.
pub const PARTITIONS: u32 = 6;

/// The input topic.
pub const EVENTS: &str = "events";

/// The output topic.
pub const RECEIPTS: &str = "receipts";

/// An event between two accounts, keyed by the first one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of the event, which no other event has. The numbers of one account rise.
    pub id: u64,
    /// The other account.
    pub other: String,
    /// The amount that goes from the first account to the other.
    pub amount: i64,
}

/// The state of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The number and the sum of the events in which the account is the first.
    pub given: (u64, i64),
    /// The number and the sum of the events in which the account is the other.
    pub taken: (u64, i64),
    /// The amount that was given and is not settled yet.
    pub pending: i64,
    /// The number of the last event.
    pub last: u64,
    /// The number of events that came after a later one.
    pub disorder: u64,
}

/// The output record of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The number of the event.
    pub id: u64,
    /// The amount of the event.
    pub amount: i64,
}

/// Returns the key of `totals` that an event adds to, in addition to `events`.
pub fn bucket(id: u64) -> String {
    format!("bucket-{}", id % 50)
}

/// Declares the program.
pub fn declare(app: &mut App) {
    app.partitions(PARTITIONS);
    let events = app.topic::<String, Event>(EVENTS);
    let receipts = app.topic::<String, Receipt>(RECEIPTS);
    let accounts = app.table::<String, Account>("accounts");
    let marks = app.table::<String, u64>("marks");
    let received = app.table::<String, i64>("received").merge(|total, more| *total += more);
    let settled = app.table::<String, i64>("settled").merge(|total, more| *total += more);
    let totals = app.global_table::<String, i64>("totals").merge(|total, more| *total += more);

    app.agent("give", events)
        .with((accounts, received.inbox(), totals))
        .each_event(async |(accounts, received, totals), event| {
            let Event { id, other, amount } = event.value;
            received.send(other, amount);
            totals.send("events", 1);
            totals.send(bucket(id), amount);
            accounts.update(event.key, |account| {
                account.given.0 += 1;
                account.given.1 += amount;
                account.pending += amount;
                account.disorder += u64::from(account.given.0 > 1 && id <= account.last);
                account.last = id;
            });
            Ok(Receipt { id, amount })
        })
        .sink(receipts);

    app.agent("take", events.group_by(|event| event.other.clone())).with(accounts).each(async |accounts, event| {
        accounts.update(event.other, |account| {
            account.taken.0 += 1;
            account.taken.1 += event.amount;
        });
        Ok(())
    });

    app.agent("mark", events.group_by(|event| event.id.to_string())).with(marks).concurrency(8).each(
        async |marks, event| {
            marks.update(event.id.to_string(), |times| *times += 1);
            Ok(())
        },
    );

    app.partition_timer("settle", Duration::from_millis(300)).with((accounts, settled.inbox())).run(
        async |(accounts, settled)| {
            for (name, account) in accounts.iter().filter(|(_, account)| account.pending != 0) {
                settled.send(name.clone(), account.pending);
                accounts.update(name, |account| account.pending = 0);
            }
            Ok(())
        },
    );
}
