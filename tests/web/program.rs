//! The program whose web server the tests ask.

use marlowe::{App, Config, GlobalTable, Running, Table, Topic};

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::worker;

/// A program with a table of every kind.
pub(crate) struct Program {
    pub(crate) app: App,
    pub(crate) visits: Topic<String, u64>,
    pub(crate) pages: Table<String, u64>,
    pub(crate) totals: GlobalTable<String, u64>,
}

/// Declares the program. An agent writes `pages`; the keys of `numbers`, `pairs` and `raw` are not
/// text; the partitions of `here` have rows of their own; `totals` is global and merged.
pub(crate) fn program() -> Program {
    let mut app = App::new("web-test");
    app.partitions(4);
    let visits = app.topic::<String, u64>("visits");
    let pages = app.table::<String, u64>("pages");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let here = app.table::<String, u64>("here").partition_local();
    app.table::<i32, String>("numbers");
    app.table::<(String, u32), Vec<u64>>("pairs");
    app.table::<Vec<u8>, u64>("raw");
    app.agent("count", visits).with((pages, here, totals)).each(async |(pages, here, totals), visit| {
        let key = page(visit);
        pages.insert(key, visit);
        here.update("seen", |seen| *seen += 1);
        totals.send("visits", 1);
        Ok(())
    });
    Program { app, visits, pages, totals }
}

/// Returns the key with which a number is sent.
pub(crate) fn page(number: u64) -> String {
    format!("page-{number:04}")
}

impl Program {
    pub(crate) async fn start(self, workers: usize) -> TestResult<(Running, Vec<Client>)> {
        let running = worker::start(self.app, Config::default().web(any_port()).workers(workers)).await?;
        let clients = running.web_addresses().into_iter().map(Client::new).collect();
        Ok((running, clients))
    }

    /// Starts `workers` workers, sends `visits` visits, each to a page of its own, and waits until
    /// all are processed.
    pub(crate) async fn visited(self, workers: usize, visits: u64) -> TestResult<(Running, Vec<Client>)> {
        let topic = self.visits;
        let (mut running, clients) = self.start(workers).await?;
        let to_topic = running.open(topic);
        for number in 0..visits {
            to_topic.send(&page(number), &number).await?;
        }
        running.drain().await?;
        Ok((running, clients))
    }
}
