//! The program of a shape: its agents and timers.

use std::sync::Arc;
use std::time::Duration;

use marlowe::App;

use crate::declared::Declared;
use crate::first_agent::declare_first_agent;
use crate::input::Input;
use crate::notes::Notes;
use crate::rows::{List, TICK};
use crate::shape::Shape;
use crate::tries::Tries;

/// The name of the program.
pub(crate) const APP: &str = "matrix";

/// Declares the program of a shape.
pub(crate) fn declare(shape: &Shape, notes: &Arc<Notes>) -> (App, Declared) {
    let mut app = App::new(APP);
    app.partitions(shape.partitions);
    if !shape.exactly_once {
        app.at_least_once();
    }
    let declared = Declared::new(&mut app, shape, notes);
    declare_first_agent(&mut app, shape, &declared);
    if shape.has_second_agent {
        declare_second_agent(&mut app, &declared);
    }
    if shape.regroups {
        declare_regrouping(&mut app, &declared);
    }
    if shape.has_partition_timer {
        declare_sweep(&mut app, &declared);
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

/// Declares the second agent, which reads the same topic and writes to the same table as the first.
fn declare_second_agent(app: &mut App, declared: &Declared) {
    let tries = Tries::default();
    let agent = app.agent("second", declared.inputs).retries(3).backoff(Duration::from_millis(5)).skip();
    agent.with(declared.table).each_event(async move |table, event| {
        table.update(event.key, |list| list.push(format!("b{}", event.value.id)));
        match tries.fails(event.value.id, event.value.fails) {
            true => Err("it is to fail".into()),
            false => Ok(()),
        }
    });
}

/// Declares an agent that reads the events by another key.
fn declare_regrouping(app: &mut App, declared: &Declared) {
    let by_other = declared.inputs.group_by(|input: &Input| input.other.clone());
    app.agent("regrouped", by_other).with(declared.groups).each_event(async |groups, event| {
        groups.update(event.key, |list| list.push(format!("r{}", event.value.id)));
        Ok(())
    });
}

/// Declares the partition timer, which moves its mark to the end of each row of the table.
fn declare_sweep(app: &mut App, declared: &Declared) {
    app.partition_timer("sweep", Duration::from_millis(70)).with(declared.table).run(async move |table| {
        for (key, mut list) in table.iter().collect::<Vec<(String, List)>>() {
            list.retain(|entry| entry != TICK);
            list.push(TICK.into());
            table.insert(key, list);
        }
        Ok(())
    });
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
