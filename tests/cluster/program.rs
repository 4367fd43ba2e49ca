//! The program that the processes run, and helpers that start them and find the owners of its
//! tables.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use marlowe::{App, Config, Running, Table, Topic};

use crate::common::client::Client;
use crate::scene::{Cluster, eventually, start};

pub(crate) const PARTITIONS: u32 = 6;

/// A program with tables of several kinds.
pub(crate) struct Program {
    pub(crate) app: App,
    pub(crate) visits: Topic<String, u64>,
    pub(crate) pages: Table<String, u64>,
    pub(crate) squares: Table<u64, u64>,
}

/// Declares the program. `pages` sums the visits, `squares` gets its changes through its inbox,
/// `here` has rows per partition, and `totals` is global.
pub(crate) fn program(name: &str) -> Program {
    let mut app = App::new(name);
    app.partitions(PARTITIONS);
    let visits = app.topic::<String, u64>("visits");
    let pages = app.table::<String, u64>("pages").merge(|sum, more| *sum += more);
    let squares = app.table::<u64, u64>("squares");
    let here = app.table::<String, u64>("here").partition_local();
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    app.agent("count", visits).with((pages, here, totals)).each_event(async |(pages, here, totals), visit| {
        pages.update(visit.key, |sum| *sum += visit.value);
        here.update("seen", |seen| *seen += 1);
        totals.send("visits", 1);
        Ok(())
    });
    Program { app, visits, pages, squares }
}

impl Cluster {
    /// Starts `number` processes of the program, one after the other. After each start it waits
    /// until every process has a share and knows who has the rest.
    pub(crate) async fn processes(&self, number: usize, name: &str, config: Config) -> Vec<Running> {
        let mut processes = Vec::new();
        for _ in 0..number {
            processes.push(start(program(name).app, config.clone()).await.unwrap());
            settle(&processes).await;
        }
        processes
    }
}

/// Waits until every process knows an owner of every partition, and every process owns some.
pub(crate) async fn settle(processes: &[Running]) {
    let all: BTreeSet<String> =
        processes.iter().map(|running| format!("http://{}", running.web_addresses()[0])).collect();
    for running in processes {
        let client = Client::of(running);
        eventually("all is shared out, and all know it", async || owners(&client) == all).await;
    }
}

/// Returns the URLs of the workers that have the partitions of all tables, or none if a partition
/// is not open.
pub(crate) fn owners(client: &Client) -> BTreeSet<String> {
    owners_where(client, |_| true)
}

/// Crashes a process that has a part of `table`, and returns the address that it had.
pub(crate) fn crash_an_owner(table: &str, processes: &mut Vec<Running>) -> SocketAddr {
    let owners = owners_where(&Client::of(&processes[0]), |name| name == table);
    let is_owner = |running: &Running| owners.contains(&format!("http://{}", running.web_addresses()[0]));
    let at = processes.iter().rposition(is_owner).expect("somebody has the table");
    processes.remove(at).web_addresses()[0]
}

fn owners_where(client: &Client, is_meant: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let tables = client.get("/tables").json();
    let mut owners = BTreeSet::new();
    for table in tables.as_array().unwrap().iter().filter(|table| is_meant(table["name"].as_str().unwrap())) {
        for place in table["where"].as_array().unwrap() {
            match place["web"].as_str() {
                Some(web) if place["open"] == true => owners.insert(web.to_owned()),
                _ => return BTreeSet::new(),
            };
        }
    }
    owners
}
