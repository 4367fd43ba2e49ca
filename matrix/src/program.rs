use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use marlowe::{App, GlobalTable, Table, TableSlice, Topic};
use serde::{Deserialize, Serialize};

use crate::shape::{Reading, Shape};

/// What is fed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    /// Which one it is.
    pub(crate) id: u64,
    /// The key of a row elsewhere.
    pub(crate) other: String,
    /// How many tries fail.
    pub(crate) fails: u32,
}

/// Fails each time.
pub(crate) const ALWAYS: u32 = 1000;

/// What was applied to a row, in order: `a` and the id for the first agent, `b` for the second, and so on.
pub(crate) type List = Vec<String>;

/// What is declared.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) inputs: Topic<String, Input>,
    pub(crate) table: Table<String, List>,
    pub(crate) others: Table<String, List>,
    pub(crate) global: GlobalTable<String, List>,
    pub(crate) groups: Table<String, List>,
}

/// What the first agent uses.
type Used = (
    TableSlice<String, List>,
    marlowe::InboxSender<String, List>,
    marlowe::InboxSender<String, List>,
    marlowe::TopicSender<String, u64>,
);

pub(crate) const APP: &str = "matrix";

/// What the processes of a run have in common: what timers sent, and was taken.
#[derive(Default)]
pub(crate) struct Notes {
    acknowledged: Mutex<BTreeSet<String>>,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Notes {
    /// Timers send nothing any more: otherwise there may be no moment at which all is processed.
    pub(crate) fn no_more(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// What timers have sent, each with the table's name before it.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

fn append(list: &mut List, more: List) {
    list.extend(more);
}

/// Whether a try of an event fails: the first `fails` do.
fn fails(input: &Input, tries: &Mutex<BTreeMap<(char, u64), u32>>, agent: char) -> bool {
    if input.fails == 0 {
        return false;
    }
    let mut tries = tries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let tried = tries.entry((agent, input.id)).or_default();
    *tried += 1;
    *tried <= input.fails
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
    let table = app.table::<String, List>("table").cache_rows(shape.cache_rows);
    let others = app.table::<String, List>("others").merge(append).cache_rows(shape.cache_rows);
    let global = app.global_table::<String, List>("global").merge(append);
    let groups = app.table::<String, List>("groups").cache_rows(shape.cache_rows);
    let declared = Declared { inputs, table, others, global, groups };

    let (sends_to_others, changes_global) = (shape.sends_to_others, shape.changes_global);
    let tries = Arc::new(Mutex::default());
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
    let with = (table, others.inbox(), global.inbox(), outputs);
    match shape.reading {
        Reading::Each | Reading::Concurrent => {
            let agent = if shape.reading == Reading::Concurrent { agent.concurrency(4) } else { agent };
            agent.with(with).each_event(async move |mut with, event| {
                let before = with.0.get(&*event.key);
                tokio::time::sleep(Duration::from_millis(event.value.id % 7)).await;
                // Nobody else changes what an event has read, before it ends.
                let after = with.0.get(&*event.key);
                first(&mut with, &event.key, &event.value);
                if before != after {
                    return Err("a row changed while an event was in hand".into());
                }
                if fails(&event.value, &tries, 'a') {
                    return Err("it is to fail".into());
                }
                Ok(())
            });
        }
        Reading::Stream => {
            agent.with(with).stream(async move |mut with, events| {
                let mut events = events.events();
                while let Some(event) = events.next().await {
                    first(&mut with, &event.key, &event.value);
                    if fails(&event.value, &tries, 'a') {
                        return Err("it is to fail".into());
                    }
                }
                Ok(())
            });
        }
    }

    if shape.has_second_agent {
        let tries = Arc::new(Mutex::default());
        let agent = app.agent("second", inputs).retries(3).backoff(Duration::from_millis(5)).skip();
        agent.with(table).each_event(async move |table, event| {
            table.update(event.key, |list| list.push(format!("b{}", event.value.id)));
            match fails(&event.value, &tries, 'b') {
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
        for (name, on_leader) in [("beat", false), ("chief", true)] {
            let notes = notes.clone();
            let timer = app.timer(name, Duration::from_millis(300)).with((others.inbox(), global.inbox()));
            let timer = if on_leader { timer.on_leader() } else { timer };
            timer.run(async move |(others, global)| {
                if notes.is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let id = format!("{name}{}", notes.next.fetch_add(1, Ordering::Relaxed));
                let sent = [
                    others.send("timers", vec![id.clone()]).await.is_ok(),
                    global.send("timers", vec![id.clone()]).await.is_ok(),
                ];
                for (_, prefix) in sent.into_iter().zip(["others", "global"]).filter(|(sent, _)| *sent) {
                    let mut acknowledged = notes.acknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    acknowledged.insert(format!("{prefix} {id}"));
                }
                Ok(())
            });
        }
    }
    (app, declared)
}
