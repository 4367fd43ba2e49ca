//! The program of a shape: its topics, tables, agents and timers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use marlowe::broker::{Partitioner, Timestamp};
use marlowe::codec::{Codec, CodecError, Json};
use marlowe::table::TableSlice;
use marlowe::topic::ProducerRecord;
use marlowe::{App, GlobalTable, Table, Topic};
use serde::{Deserialize, Serialize};

use crate::calls::{Answer, Ask, Calls, call};
use crate::notes::Notes;
use crate::shape::{Reading, Shape};

/// An event that is fed to the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The number of the event.
    pub(crate) id: u64,
    /// The key of a row elsewhere.
    pub(crate) other: String,
    /// The number of attempts that fail.
    pub(crate) fails: u32,
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

impl Input {
    fn failure(&self) -> Failure {
        match self.id % 4 {
            _ if self.fails < ALWAYS => Failure::Error,
            0 => Failure::Error,
            1 => Failure::Trespass,
            2 => Failure::Unwritable,
            _ => Failure::Refused,
        }
    }
}

/// A codec of JSON that refuses rows with a certain entry.
struct Picky;

/// The entry that cannot be encoded.
const UNWRITABLE: &str = "!";

impl Codec<List> for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn encode(&self, value: &List, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if value.iter().any(|entry| entry == UNWRITABLE) {
            return Err(CodecError::new("a row that can be written", "it has an entry that cannot"));
        }
        Json.encode(value, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<List, CodecError> {
        Json.decode(bytes)
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        <Json as Codec<List>>::to_json(&Json, bytes)
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        <Json as Codec<List>>::encode_json(&Json, json, out)
    }
}

/// A number of failing attempts that is never reached, so the event always fails.
pub(crate) const ALWAYS: u32 = 1000;

/// The changes of a row, in order: `a` and the id for the first agent, `b` for the second, and so
/// on.
pub(crate) type List = Vec<String>;

/// The declared parts that a run uses.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) inputs: Topic<String, Input>,
    pub(crate) table: Table<String, List>,
    pub(crate) others: Table<String, List>,
    pub(crate) global: GlobalTable<String, List>,
    pub(crate) groups: Table<String, List>,
    pub(crate) calls: Option<Calls>,
}

/// The handles that the first agent uses.
type Used = (
    TableSlice<String, List>,
    marlowe::table::InboxSender<String, List>,
    marlowe::table::InboxSender<String, List>,
    marlowe::topic::TopicSender<String, u64>,
);

pub(crate) const APP: &str = "matrix";

fn append(list: &mut List, more: List) {
    list.extend(more);
}

/// The number of attempts that an agent made for each event that is to fail, by its id.
type Tries = Mutex<BTreeMap<String, u32>>;

/// Returns whether this attempt of an event fails. The first `fails` attempts do.
fn fails(id: impl ToString, fails: u32, tries: &Tries) -> bool {
    if fails == 0 {
        return false;
    }
    let mut tries = tries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let tried = tries.entry(id.to_string()).or_default();
    *tried += 1;
    *tried <= fails
}

/// Returns a key whose partition is not that of `key`, if there is more than one partition.
fn foreign_to(key: &str, partitions: u32) -> Option<String> {
    let home = |key: &str| Partitioner::default().partition(key.as_bytes(), partitions);
    (0..100).map(|number| format!("k{number}")).find(|other| home(other) != home(key))
}

pub(crate) fn declare(shape: &Shape, notes: &Arc<Notes>) -> (App, Declared) {
    let mut app = App::new(APP);
    app.partitions(shape.partitions);
    if !shape.exactly_once {
        app.at_least_once();
    }
    let inputs = app.topic::<String, Input>("inputs");
    let outputs = app.topic::<String, u64>("outputs");
    let dead = app.topic::<String, Input>("dead");
    let table = app.table::<String, List>("table").codec(Picky).cache_rows(shape.cache_rows);
    let others = app.table::<String, List>("others").merge(append).cache_rows(shape.cache_rows);
    let global = app.global_table::<String, List>("global").merge(append);
    let groups = app.table::<String, List>("groups").cache_rows(shape.cache_rows);
    let calls = shape.has_calls.then(|| declare_calls(&mut app, shape, inputs, notes));
    let declared = Declared { inputs, table, others, global, groups, calls };

    let (sends_to_others, changes_global) = (shape.sends_to_others, shape.changes_global);
    let tries = Arc::new(Tries::default());
    let agent = app.agent("first", inputs).retries(3).backoff(Duration::from_millis(5)).dead_letter(dead);
    let first = move |(table, others, global, outputs): &mut Used, key: &str, input: &Input| {
        let mut list = table.get(key).unwrap_or_default();
        list.push(format!("a{}", input.id));
        table.insert(key.to_owned(), list);
        if sends_to_others {
            others.send(input.other.clone(), vec![format!("o{}", input.id)]);
        }
        if changes_global {
            global.send(input.other.clone(), vec![format!("g{}", input.id)]);
        }
        outputs.send(&key.to_owned(), &input.id);
    };
    let partitions = shape.partitions;
    let fails_first = move |(table, _, _, outputs): &Used, key: &str, input: &Input| {
        if !fails(input.id, input.fails, &tries) {
            return false;
        }
        match (input.failure(), foreign_to(key, partitions)) {
            (Failure::Trespass, Some(foreign)) => drop(table.insert(foreign, vec![format!("a{}", input.id)])),
            (Failure::Error | Failure::Trespass, _) => return true,
            (Failure::Unwritable, _) => drop(table.insert(key.to_owned(), vec![UNWRITABLE.to_owned()])),
            (Failure::Refused, _) => {
                let key = key.to_owned();
                outputs.send_record(ProducerRecord::new(&key, &input.id).timestamp(Timestamp::from_millis(i64::MAX)));
            }
        }
        false
    };
    let with = (table, others.inbox(), global.inbox(), outputs);
    match shape.reading {
        Reading::Each | Reading::Concurrent => {
            let agent = if shape.reading == Reading::Concurrent { agent.concurrency(4) } else { agent };
            agent.with(with).each_event(async move |mut with, event| {
                let before = with.0.get(&*event.key);
                tokio::time::sleep(Duration::from_millis(event.value.id % 7)).await;
                // Until an event ends, no other event changes what it has read.
                let after = with.0.get(&*event.key);
                first(&mut with, &event.key, &event.value);
                if before != after {
                    return Err("a row changed while an event was in hand".into());
                }
                match fails_first(&with, &event.key, &event.value) {
                    true => Err("it is to fail".into()),
                    false => Ok(()),
                }
            });
        }
        Reading::Stream => {
            agent.with(with).stream(async move |mut with, events| {
                let mut events = events.events();
                while let Some(event) = events.next().await {
                    first(&mut with, &event.key, &event.value);
                    if fails_first(&with, &event.key, &event.value) {
                        return Err("it is to fail".into());
                    }
                }
                Ok(())
            });
        }
    }

    if shape.has_second_agent {
        let tries = Arc::new(Tries::default());
        let agent = app.agent("second", inputs).retries(3).backoff(Duration::from_millis(5)).skip();
        agent.with(table).each_event(async move |table, event| {
            table.update(event.key, |list| list.push(format!("b{}", event.value.id)));
            match fails(event.value.id, event.value.fails, &tries) {
                true => Err("it is to fail".into()),
                false => Ok(()),
            }
        });
    }
    if shape.regroups {
        let by_other = inputs.group_by(|input: &Input| input.other.clone());
        app.agent("regrouped", by_other).with(groups).each_event(async |groups, event| {
            groups.update(event.key, |list| list.push(format!("r{}", event.value.id)));
            Ok(())
        });
    }
    if shape.has_partition_timer {
        app.partition_timer("sweep", Duration::from_millis(70)).with(table).run(async move |table| {
            for (key, mut list) in table.iter().collect::<Vec<(String, List)>>() {
                list.retain(|entry| entry != "t");
                list.push("t".into());
                table.insert(key, list);
            }
            Ok(())
        });
    }
    if shape.has_timers {
        declare_timers(&mut app, &declared, notes);
    }
    (app, declared)
}

/// Declares the program with one more agent. The topic of that agent has another number of
/// partitions than the table that it uses.
pub(crate) fn declare_with_other_counts(shape: &Shape, notes: &Arc<Notes>) -> App {
    let (mut app, declared) = declare(shape, notes);
    let late = app.topic::<String, Input>("late").partitions(shape.partitions + 1);
    app.agent("late", late).with(declared.table).each(async |_, _| Ok(()));
    app
}

/// Declares timers of the workers and of the leader, and a crontab. All of them send to tables.
fn declare_timers(app: &mut App, declared: &Declared, notes: &Arc<Notes>) {
    let with = (declared.others.inbox(), declared.global.inbox());
    let every = Duration::from_millis(300);
    for (name, on_leader) in [("beat", false), ("chief", true), ("chime", true)] {
        let notes = notes.clone();
        let timer = match name {
            "chime" => app.crontab(name, CHIMES, "UTC").with(with),
            _ => app.timer(name, every).with(with),
        };
        let timer = if on_leader { timer.on_leader() } else { timer };
        timer.run(async move |(others, global)| {
            if notes.is_over() {
                return Ok(());
            }
            if name == "chime" {
                notes.chimed();
            }
            let id = format!("{name}{}", notes.number());
            let sent = [
                others.send("timers", vec![id.clone()]).await.is_ok(),
                global.send("timers", vec![id.clone()]).await.is_ok(),
            ];
            for (_, table) in sent.into_iter().zip(["others", "global"]).filter(|(sent, _)| *sent) {
                notes.has_sent(table, &id);
            }
            Ok(())
        });
    }
}

/// The times of the crontab: every other second. A simulation begins at a full minute.
const CHIMES: &str = "*/2 * * * * *";

/// Declares an agent that answers, another one that has answers sent to a topic, and a timer that
/// asks.
fn declare_calls(app: &mut App, shape: &Shape, inputs: Topic<String, Input>, notes: &Arc<Notes>) -> Calls {
    let requests = app.topic::<String, Ask>("requests");
    let answers = app.topic::<String, Answer>("answers");
    let accounts = app.table::<String, List>("accounts").cache_rows(shape.cache_rows);
    let tries = Arc::new(Tries::default());
    let teller = app.agent("teller", requests).retries(3).backoff(Duration::from_millis(5)).skip();
    let teller = teller.with(accounts).each_event(async move |accounts, request| {
        let Ask { id, fails: times } = request.value;
        let mut list = accounts.get(&request.key).unwrap_or_default();
        list.push(id.clone());
        let place = list.len();
        accounts.insert(request.key, list);
        match fails(&id, times, &tries) {
            true => Err("it is to fail".into()),
            false => Ok(Answer { id, place }),
        }
    });
    let teller = teller.answers();
    app.agent("caller", inputs).with(teller.reply_to(answers)).each_event(async |teller, event| {
        let key = format!("c{}", event.value.id % 4);
        teller.send(&key, &Ask { id: format!("e{}", event.value.id), fails: 0 }, &key);
        Ok(())
    });
    let (notes, of_timer) = (notes.clone(), shape.clone());
    app.timer("asks", Duration::from_millis(700)).with(teller).run(async move |teller| {
        if !notes.is_over() {
            call(teller, &notes, &of_timer).await;
        }
        Ok(())
    });
    Calls { teller, accounts }
}
