//! Writers that change rows step by step, and read them after each change.

use std::time::Duration;

use marlowe::Table;
use marlowe::axum::body::Bytes;
use marlowe::axum::http::{Request, Response, StatusCode};
use marlowe::sim::{Chance, NoAnswer, Simulation};
use marlowe::table::{GlobalClient, TableView};
use marlowe::topic::{SendError, Sent};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::declared::Declared;
use crate::rows::List;
use crate::shape::Shape;

/// A writer of rows that nobody else changes. It changes each step by step, and reads it after each
/// step.
pub(crate) struct Writer<'a> {
    sim: &'a Simulation,
    shape: &'a Shape,
    declared: &'a Declared,
    chance: Chance,
}

/// The outcome for one row of a writer.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) table: &'static str,
    pub(crate) key: String,
    /// The possible states at the end: the last one that is certain, and the one after a change
    /// whose outcome is in doubt.
    pub(crate) may_be: Vec<Option<List>>,
}

/// A change to a row.
#[derive(Clone, Copy, Debug)]
enum Change {
    Append,
    Replace,
    Remove,
}

/// The outcome of a change.
enum Outcome {
    Sent(Place),
    /// It did not arrive.
    Lost,
    InDoubt,
}

/// The position of a change, as the call that sent it from here or over the web returned it.
enum Place {
    Sent(Sent),
    Web { offset: u64 },
}

/// The states that a row was in, and the time since which the last one is certain to be seen.
struct Row {
    key: String,
    states: Vec<Option<List>>,
    seen: Option<Instant>,
}

/// The longest time to wait for a worker that may be paused.
const PATIENCE: Duration = Duration::from_secs(3);

impl<'a> Writer<'a> {
    pub(crate) fn new(sim: &'a Simulation, shape: &'a Shape, declared: &'a Declared) -> Self {
        Self { sim, shape, declared, chance: Chance::of_seed(shape.seed ^ 0x3713) }
    }

    /// Writes until the disturbance is over.
    pub(crate) async fn write_on(&self, until: Duration) -> Vec<Written> {
        let mut all = Vec::new();
        while self.sim.elapsed() < until {
            let is_global = self.chance.happens(300);
            all.push(self.write(format!("w{}", all.len()), is_global, until).await);
            if self.shape.forgets_removals {
                let older = self.chance.number(0..all.len() as u64) as usize;
                self.remove(&mut all[older]).await;
            }
        }
        all
    }

    /// Removes a row, if its state is certain.
    async fn remove(&self, row: &mut Written) {
        if row.may_be.len() == 1 {
            match self.change(row.table, &row.key, Change::Remove, List::new()).await {
                Outcome::Lost => {}
                Outcome::Sent(_) => row.may_be = vec![None],
                Outcome::InDoubt => row.may_be.push(None),
            }
        }
    }

    async fn write(&self, key: String, is_global: bool, until: Duration) -> Written {
        let table = if is_global { "global" } else { "others" };
        let mut row = Row { key: key.clone(), states: vec![None], seen: None };
        for number in 0..self.chance.number(1..8) {
            self.sim.elapse(self.chance.time(Duration::from_millis(1)..Duration::from_millis(300))).await;
            if self.sim.elapsed() >= until {
                break;
            }
            let change = *self.chance.one_of(&[Change::Append, Change::Append, Change::Replace, Change::Remove]);
            let id = format!("{key}.{number}");
            let now = row.states.last().cloned().flatten();
            let then = match change {
                Change::Append => Some(now.clone().into_iter().flatten().chain([id.clone()]).collect()),
                Change::Replace => Some(vec![id.clone()]),
                Change::Remove => None,
            };
            match self.change(table, &key, change, vec![id]).await {
                Outcome::Lost => continue,
                Outcome::InDoubt => return Written { table, key, may_be: vec![now, then] },
                Outcome::Sent(place) => {
                    row.states.push(then);
                    row.seen = None;
                    self.look(&mut row, is_global, &place).await;
                }
            }
        }
        let last = row.states.pop().flatten();
        Written { table, key, may_be: vec![last] }
    }

    fn some_worker(&self) -> usize {
        self.chance.number(0..self.shape.workers as u64) as usize
    }

    /// Sends a change: from outside, on a worker, or to a worker's web server.
    async fn change(&self, table: &str, key: &str, change: Change, list: List) -> Outcome {
        let number = self.some_worker();
        let way = self.chance.number(0..3);
        if way == 0 {
            return self.change_by_web(number, table, key, change, list).await;
        }
        let is_global = table == "global";
        let sent = match (way, self.sim.open_on(number, self.declared.global)) {
            (1, Some(global)) if is_global => {
                timeout(PATIENCE, async {
                    match change {
                        Change::Append => global.send(key, list).await,
                        Change::Replace => global.replace(key, list).await,
                        Change::Remove => global.remove(key).await,
                    }
                })
                .await
            }
            (way, _) => {
                let table = self.declared.others.inbox();
                let here = (way == 1 && !is_global).then(|| self.sim.open_on(number, table)).flatten();
                let outside = || match is_global {
                    true => self.sim.open(self.declared.global.inbox()),
                    false => self.sim.open(table),
                };
                let inbox = here.unwrap_or_else(outside);
                timeout(PATIENCE, async {
                    match change {
                        Change::Append => inbox.send(key, list).await,
                        Change::Replace => inbox.replace(key, list).await,
                        Change::Remove => inbox.remove(key).await,
                    }
                })
                .await
            }
        };
        match sent {
            Ok(Ok(sent)) => Outcome::Sent(Place::Sent(sent)),
            Ok(Err(SendError::Codec { source, .. })) => panic!("a change does not encode: {source}"),
            Ok(Err(_)) | Err(_) => Outcome::InDoubt,
        }
    }

    async fn change_by_web(&self, number: usize, table: &str, key: &str, change: Change, list: List) -> Outcome {
        let uri = format!("/tables/{table}/{key}");
        let (request, body) = match change {
            Change::Append => (Request::post(uri), serde_json::json!(list).to_string()),
            Change::Replace => (Request::put(uri), serde_json::json!(list).to_string()),
            Change::Remove => (Request::delete(uri), String::new()),
        };
        match self.request(number, request.body(body)).await {
            Ok(response) if response.status() == StatusCode::ACCEPTED => {
                let offset = json(&response)["offset"].as_u64();
                Outcome::Sent(Place::Web { offset: offset.unwrap_or_else(|| panic!("no offset: {response:?}")) })
            }
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => Outcome::InDoubt,
            // The broker failed, or the network to it.
            Ok(response) if response.status() == StatusCode::INTERNAL_SERVER_ERROR => Outcome::InDoubt,
            Ok(response) => panic!("a change was answered with {response:?}"),
            Err(NoAnswer::Unsent(_)) => Outcome::Lost,
            Err(NoAnswer::Unanswered(_)) => Outcome::InDoubt,
        }
    }

    async fn request(
        &self,
        number: usize,
        request: Result<Request<String>, marlowe::axum::http::Error>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let request = request.unwrap_or_else(|error| panic!("a request is not one: {error}"));
        let late = |_| NoAnswer::Unanswered("it stands still".to_owned());
        timeout(PATIENCE, self.sim.request(number, request)).await.map_err(late)?
    }

    /// Reads a row after a change. A read that waits for the change must see it.
    async fn look(&self, row: &mut Row, is_global: bool, place: &Place) {
        let number = self.some_worker();
        match place {
            _ if self.chance.happens(200) => {}
            Place::Web { offset, .. } => self.look_by_web(number, row, is_global, Some(*offset)).await,
            Place::Sent(sent) if self.chance.happens(300) => {
                self.look_by_web(number, row, is_global, Some(sent.offset.get())).await;
            }
            Place::Sent(sent) if is_global => {
                if let Some(global) = self.sim.open_on(number, self.declared.global) {
                    self.look_at_copy(&global, row, sent).await;
                }
            }
            Place::Sent(sent) => {
                let view = self.view(self.declared.others, number);
                if view.wait_for(sent).await.is_ok() {
                    row.seen = Some(Instant::now());
                    if let Ok(read) = view.read(&*row.key).await {
                        self.is_last(row, &read.value, "a view that waited for it");
                    }
                }
            }
        }
        // Later another worker may answer, and it may not be up to date.
        if !is_global && self.shape.standbys > 0 {
            let bound = Duration::from_millis(*self.chance.one_of(&[100, 1000, 5000]));
            let asked = Instant::now();
            let read = self.view(self.declared.others, number).stale_within(bound).read(&*row.key).await;
            if let Ok(read) = read {
                self.is_fresh(row, &read.value, read.stale, asked, bound);
            }
        }
    }

    /// Returns a view on a worker, or one from outside if the worker does not run.
    fn view(&self, table: Table<String, List>, number: usize) -> TableView<String, List> {
        let here = self.sim.open_on(number, table.view());
        here.unwrap_or_else(|| self.sim.open(table.view())).within(Duration::from_secs(2))
    }

    async fn look_at_copy(&self, global: &GlobalClient<String, List>, row: &mut Row, sent: &Sent) {
        let reached = timeout(PATIENCE, global.wait_for(sent)).await;
        // The copy of a stopped worker stays where it is, and returns its position.
        if reached.is_ok_and(|position| position.includes(sent))
            && let Ok(value) = global.try_get(&*row.key)
        {
            self.is_last(row, &value, "a copy that was waited for");
        }
    }

    async fn look_by_web(&self, number: usize, row: &mut Row, is_global: bool, inbox: Option<u64>) {
        let table = if is_global { "global" } else { "others" };
        let inbox = inbox.map(|inbox| format!("&inbox={inbox}")).unwrap_or_default();
        let uri = format!("/tables/{table}/{}?wait=2000{inbox}", row.key);
        let Ok(response) = self.request(number, Request::get(uri).body(String::new())).await else { return };
        let value = match response.status() {
            StatusCode::OK => serde_json::from_value(json(&response)["value"].clone()).ok(),
            StatusCode::NOT_FOUND => None,
            StatusCode::SERVICE_UNAVAILABLE => return,
            _ => panic!("a read was answered with {response:?}"),
        };
        self.is_last(row, &value, "the web, asked for it");
        if !is_global {
            row.seen = Some(Instant::now());
        }
    }

    /// Asserts that a row is as the last change left it.
    fn is_last(&self, row: &Row, found: &Option<List>, who: &str) {
        assert_eq!(row.states.last(), Some(found), "{who}: `{}` is not as it was written", row.key);
    }

    /// Asserts that a row that may be stale was in this state at some time, and is not older than
    /// reported.
    fn is_fresh(&self, row: &Row, found: &Option<List>, stale: Option<Duration>, asked: Instant, bound: Duration) {
        assert!(row.states.contains(found), "`{}` never was {found:?}, but {:?}", row.key, row.states);
        let stale = stale.unwrap_or_default();
        assert!(stale <= bound + PATIENCE, "{stale:?} is more than {bound:?}");
        if row.seen.is_some_and(|seen| seen + stale <= asked) {
            assert_eq!(row.states.last(), Some(found), "`{}` is older than {stale:?}", row.key);
        }
    }
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_else(|error| panic!("no JSON: {error}"))
}
