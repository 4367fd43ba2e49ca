//! The jobs of the contract, as Marlowe programs.

use std::time::Duration;

use marlowe::axum::Router;
use marlowe::axum::extract::{Path, State};
use marlowe::axum::http::StatusCode;
use marlowe::axum::routing::get;
use marlowe::compact_str::CompactString;
use marlowe::table::TableView;
use marlowe::{App, Table, Topic};

use crate::arguments::{Arguments, Guarantee, Job};
use crate::event::Event;

/// Declares the topics, tables and agents of the job.
pub(crate) fn declare(app: &mut App, arguments: &Arguments) {
    if arguments.guarantee == Guarantee::AtLeastOnce {
        app.at_least_once();
    }
    let events = app.topic::<CompactString, Event>(&arguments.events);
    match arguments.job {
        Job::Pass => pass(app, events, &arguments.out()),
        Job::Total => total(app, events),
        job => {
            let counts = app.table::<CompactString, u64>("counts").cache_rows(arguments.cache_rows());
            match job {
                Job::Regroup => regroup(app, events, counts),
                Job::Shared => shared(app, events, arguments.others(), counts),
                Job::Serve => serve(app, events, counts),
                _ => count(app, events, counts),
            }
        }
    }
}

fn pass(app: &mut App, events: Topic<CompactString, Event>, out: &str) {
    let out = app.topic::<CompactString, Event>(out);
    app.agent("pass", events).with(out).each_event(async |out, event| {
        out.send(&event.key, &event.value);
        Ok(())
    });
}

fn count(app: &mut App, events: Topic<CompactString, Event>, counts: Table<CompactString, u64>) {
    count_as("count", app, events, counts);
}

fn count_as(name: &str, app: &mut App, events: Topic<CompactString, Event>, counts: Table<CompactString, u64>) {
    app.agent(name, events).with(counts).each(async |counts, event| {
        counts.update(event.page, |count| *count += 1);
        Ok(())
    });
}

fn regroup(app: &mut App, events: Topic<CompactString, Event>, counts: Table<CompactString, u64>) {
    app.agent("count", events.group_by(|event| event.user.clone())).with(counts).each(async |counts, event| {
        counts.update(event.user, |count| *count += 1);
        Ok(())
    });
}

fn shared<'a>(
    app: &mut App,
    events: Topic<CompactString, Event>,
    others: impl Iterator<Item = &'a str>,
    counts: Table<CompactString, u64>,
) {
    count(app, events, counts);
    for topic in others {
        let others = app.topic::<CompactString, Event>(topic);
        count_as(&format!("count-{topic}"), app, others, counts);
    }
    app.partition_timer("sum", Duration::from_secs(1)).with(counts).run(async |counts| {
        println!("sum {}", counts.iter().map(|(_, count)| count).sum::<u64>());
        Ok(())
    });
}

fn total(app: &mut App, events: Topic<CompactString, Event>) {
    let total = app.global_table::<String, u64>("total").merge(|total, more| *total += more);
    app.agent("count", events).with(total).each(async |total, _| {
        total.send("all", 1);
        Ok(())
    });
}

fn serve(app: &mut App, events: Topic<CompactString, Event>, counts: Table<CompactString, u64>) {
    count(app, events, counts);
    app.web(move |worker| Router::new().route("/counts/{page}", get(row)).with_state(worker.open(counts.view())));
}

async fn row(
    State(counts): State<TableView<CompactString, u64>>,
    Path(page): Path<CompactString>,
) -> (StatusCode, String) {
    match counts.get(page).await {
        Ok(Some(count)) => (StatusCode::OK, count.to_string()),
        Ok(None) => (StatusCode::NOT_FOUND, "no such page\n".into()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}
