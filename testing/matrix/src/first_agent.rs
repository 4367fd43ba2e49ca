//! The first agent of the program. It changes the table, sends changes and outputs, and fails the
//! events that are to fail.

use std::time::Duration;

use marlowe::App;
use marlowe::broker::{Partitioner, Timestamp};
use marlowe::table::{InboxSender, TableSlice};
use marlowe::topic::{ProducerRecord, TopicSender};

use crate::declared::Declared;
use crate::input::Input;
use crate::picky::UNWRITABLE;
use crate::rows::List;
use crate::shape::{Reading, Shape};
use crate::tries::Tries;

/// The handles that the first agent uses.
type Used = (TableSlice<String, List>, InboxSender<String, List>, InboxSender<String, List>, TopicSender<String, u64>);

/// Declares the first agent, which takes its events in the way of the shape.
pub(crate) fn declare_first_agent(app: &mut App, shape: &Shape, declared: &Declared) {
    let Declared { inputs, outputs, dead, table, others, global, .. } = *declared;
    let first = FirstAgent::of(shape);
    let agent = app.agent("first", inputs).retries(3).backoff(Duration::from_millis(5)).dead_letter(dead);
    let with = (table, others.inbox(), global.inbox(), outputs);
    match shape.reading {
        Reading::Each | Reading::Concurrent => {
            let agent = if shape.reading == Reading::Concurrent { agent.concurrency(4) } else { agent };
            agent.with(with).each_event(async move |mut with, event| {
                let before = with.0.get(&*event.key);
                tokio::time::sleep(Duration::from_millis(event.value.id % 7)).await;
                // Until an event ends, no other event changes what it has read.
                let after = with.0.get(&*event.key);
                first.handle(&mut with, &event.key, &event.value);
                if before != after {
                    return Err("a row changed while an event was in hand".into());
                }
                match first.fails(&with, &event.key, &event.value) {
                    true => Err("it is to fail".into()),
                    false => Ok(()),
                }
            });
        }
        Reading::Stream => {
            agent.with(with).stream(async move |mut with, events| {
                let mut events = events.events();
                while let Some(event) = events.next().await {
                    first.handle(&mut with, &event.key, &event.value);
                    if first.fails(&with, &event.key, &event.value) {
                        return Err("it is to fail".into());
                    }
                }
                Ok(())
            });
        }
    }
}

/// The first agent: the parts of the shape that matter to it, and the attempts that it made.
struct FirstAgent {
    sends_to_others: bool,
    changes_global: bool,
    partitions: u32,
    tries: Tries,
}

impl FirstAgent {
    fn of(shape: &Shape) -> Self {
        Self {
            sends_to_others: shape.sends_to_others,
            changes_global: shape.changes_global,
            partitions: shape.partitions,
            tries: Tries::default(),
        }
    }

    /// Changes the row of an event, and sends the changes and the output of the event.
    fn handle(&self, (table, others, global, outputs): &mut Used, key: &str, input: &Input) {
        let mut list = table.get(key).unwrap_or_default();
        list.push(format!("a{}", input.id));
        table.insert(key.to_owned(), list);
        if self.sends_to_others {
            others.send(input.other.clone(), vec![format!("o{}", input.id)]);
        }
        if self.changes_global {
            global.send(input.other.clone(), vec![format!("g{}", input.id)]);
        }
        outputs.send(&key.to_owned(), &input.id);
    }

    /// Returns whether this attempt of an event must return an error. If it is to fail in another
    /// way, this writes or sends what makes it fail, and returns false.
    fn fails(&self, (table, _, _, outputs): &Used, key: &str, input: &Input) -> bool {
        if !self.tries.fails(input.id, input.fails) {
            return false;
        }
        match (Failure::of(input), foreign_to(key, self.partitions)) {
            (Failure::Trespass, Some(foreign)) => drop(table.insert(foreign, vec![format!("a{}", input.id)])),
            (Failure::Error | Failure::Trespass, _) => return true,
            (Failure::Unwritable, _) => drop(table.insert(key.to_owned(), vec![UNWRITABLE.to_owned()])),
            (Failure::Refused, _) => {
                let key = key.to_owned();
                outputs.send_record(ProducerRecord::new(&key, &input.id).timestamp(Timestamp::from_millis(i64::MAX)));
            }
        }
        false
    }
}

/// The way in which the first agent fails an event that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It returns an error.
    Error,
    /// It writes a row that belongs to another partition, and reports success.
    Trespass,
    /// It writes a row that cannot be encoded, and reports success.
    Unwritable,
    /// It sends a record that the broker refuses, and reports success.
    Refused,
}

impl Failure {
    fn of(input: &Input) -> Self {
        match input.id % 4 {
            _ if input.succeeds() => Self::Error,
            0 => Self::Error,
            1 => Self::Trespass,
            2 => Self::Unwritable,
            _ => Self::Refused,
        }
    }
}

/// Returns whether the first agent fails an event in a way that shows only in its commit. Until
/// then it counts as a success.
pub(crate) fn fails_late(input: &Input) -> bool {
    !input.succeeds() && matches!(Failure::of(input), Failure::Unwritable | Failure::Refused)
}

/// Returns a key whose partition is not that of `key`, if there is more than one partition.
fn foreign_to(key: &str, partitions: u32) -> Option<String> {
    let home = |key: &str| Partitioner::default().partition(key.as_bytes(), partitions);
    (0..100).map(|number| format!("k{number}")).find(|other| home(other) != home(key))
}
