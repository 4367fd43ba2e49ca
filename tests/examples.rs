//! The small examples. Each is started as its page says, used over HTTP, and stopped.

mod process;

use std::time::Duration;

use futures_util::future::join_all;
use process::{Process, example};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The time between two looks. With `LOOKS`, the tests look for a minute at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 600;

/// The most time that a process may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A running example, with its web server on a free port.
struct Example {
    process: Process,
    site: String,
    /// The web servers of its other workers.
    others: Vec<String>,
    _folder: TempDir,
}

/// An answer of the example's web server.
#[derive(Debug)]
struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).map_err(|error| format!("{error}: {}", self.text).into())
    }
}

impl Example {
    /// Starts the example and waits until its shards are open.
    async fn start(name: &str, args: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut process = Process::start(example(name)?.args(["--web", "127.0.0.1:0"]).args(args), folder.path())?;
        for _ in 0..LOOKS {
            if let Some((site, others)) = sites(&process.out()?) {
                assert_eq!(ask("GET", &site, "/readyz", "").await?.status, 200, "{name} says that it is ready");
                return Ok(Self { process, site, others, _folder: folder });
            }
            if let Some(status) = process.ended(LOOK_EVERY).await? {
                return Err(format!("{name} ended with {status}: {}", process.err()?).into());
            }
        }
        Err(format!("{name} is not ready: {}", process.err()?).into())
    }

    /// Runs the example until all of its input is processed.
    async fn drain(name: &str, args: &[&str]) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut command = example(name)?;
        let mut process = Process::start(command.args(["--web", "off", "--drain"]).args(args), folder.path())?;
        let status = process.ended(ENDS_WITHIN).await?;
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", process.err()?);
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        ask("GET", &self.site, path, "").await
    }

    async fn post(&self, path: &str, body: &str) -> Result<Answer> {
        ask("POST", &self.site, path, body).await
    }

    /// Sends a record, which must be accepted.
    async fn send(&self, topic: &str, record: Value) -> Result<()> {
        let answer = self.post(&format!("/topics/{topic}"), &record.to_string()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        Ok(())
    }

    /// Returns the value of a row, or null.
    async fn row(&self, table: &str, key: &str) -> Result<Value> {
        let answer = self.get(&format!("/tables/{table}/{key}")).await?;
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        Ok(answer.json()?["value"].take())
    }

    /// Waits until `will_do` accepts the value of a row, and returns the value.
    async fn row_when(&self, table: &str, key: &str, will_do: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut value = Value::Null;
        for _ in 0..LOOKS {
            value = self.row(table, key).await?;
            if will_do(&value) {
                return Ok(value);
            }
            sleep(LOOK_EVERY).await;
        }
        Err(format!("row `{key}` of `{table}` is {value} at last: {}", self.process.err()?).into())
    }

    /// Waits until the example has printed `text` to standard output or standard error.
    async fn says(&self, text: &str) -> Result<()> {
        for _ in 0..LOOKS {
            if self.process.out()?.contains(text) || self.process.err()?.contains(text) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(format!("it does not say `{text}`: {} {}", self.process.out()?, self.process.err()?).into())
    }

    /// Stops the example with `SIGTERM`, as a shell does.
    async fn stop(mut self) -> Result<()> {
        self.process.signal("TERM")?;
        let status = self.process.ended(ENDS_WITHIN).await?;
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", self.process.err()?);
        Ok(())
    }
}

/// Returns the addresses of the web servers that a process prints: the first, and the others. It
/// prints them before it says that it is ready.
fn sites(out: &str) -> Option<(String, Vec<String>)> {
    let (banner, _) = out.split_once("ready after")?;
    let words = banner.split_whitespace().filter(|word| word.starts_with("http://127.0.0.1:"));
    let mut sites = words.map(|word| word.trim_end_matches(',').to_owned());
    Some((sites.next()?, sites.collect()))
}

async fn ask(method: &'static str, site: &str, path: &str, body: &str) -> Result<Answer> {
    let request = ureq::http::Request::builder().method(method).uri(format!("{site}{path}"));
    let (empty, full) = (request.body(()), body.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let settings = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = settings.timeout_global(Some(ENDS_WITHIN)).build().into();
        let mut answer = match full.is_empty() {
            true => agent.run(empty?)?,
            false => agent.run(empty?.map(|()| full))?,
        };
        Ok::<_, ureq::Error>(Answer { status: answer.status().as_u16(), text: answer.body_mut().read_to_string()? })
    });
    Ok(asked.await??)
}

#[tokio::test]
async fn count_loses_no_word_when_it_is_killed() -> Result<()> {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().ok_or("a path in UTF-8")?;
    let mut first = Example::start("count", &["--data-dir", data_dir]).await?;
    first.row_when("counts", "launched", |count| *count == json!(1)).await?;
    first.process.signal("KILL")?;
    assert!(first.process.ended(ENDS_WITHIN).await?.is_some());

    Example::drain("count", &["--data-dir", data_dir]).await?;
    let again = Example::start("count", &["--data-dir", data_dir]).await?;
    let rows = again.get("/tables/counts?limit=1000").await?.json()?;
    let counts = rows["rows"].as_array().ok_or("rows")?;
    assert_eq!(counts.iter().filter_map(|row| row["value"].as_u64()).sum::<u64>(), 34, "{rows}");
    for (word, count) in [("launched", 1), ("the", 2), ("a", 2), ("flies", 1)] {
        assert_eq!(again.row("counts", word).await?, json!(count), "{word}");
    }
    again.send("lines", json!({"value": "a thousand ships"})).await?;
    again.row_when("counts", "ships", |count| *count == json!(2)).await?;
    again.stop().await
}

#[tokio::test]
async fn shared_table_has_every_change_of_both_agents() -> Result<()> {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().ok_or("a path in UTF-8")?;
    Example::drain("shared_table", &["--data-dir", data_dir]).await?;
    let shop = Example::start("shared_table", &["--data-dir", data_dir]).await?;
    assert_eq!(shop.get("/stock").await?.json()?, json!([["salt", 100], ["tea", 100]]));
    shop.send("deliveries", json!({"key": "tea", "value": 5})).await?;
    shop.row_when("stock", "tea", |left| *left == json!(105)).await?;
    shop.send("orders", json!({"key": "7", "value": ["tea", 3]})).await?;
    shop.row_when("stock", "tea", |left| *left == json!(102)).await?;
    assert_eq!(shop.get("/stock").await?.json()?, json!([["salt", 100], ["tea", 102]]));
    shop.stop().await
}

#[tokio::test]
async fn inbox_merge_adds_each_hit_once() -> Result<()> {
    let hits = Example::start("inbox_merge", &[]).await?;
    for count in 1..=3 {
        assert_eq!(hits.post("/hits/home", "").await?.json()?, json!(count), "its own hit is in the answer");
    }
    for answer in join_all((0..20).map(|_| hits.post("/hits/home", ""))).await {
        assert_eq!(answer?.status, 200);
    }
    let answer = hits.post("/tables/hits/home?wait=10000", "10").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(hits.row("hits", "home").await?, json!(3 + 20 + 10));
    hits.row_when("hits", "seconds", |seconds| seconds.as_u64() >= Some(2)).await?;
    hits.stop().await
}

#[tokio::test]
async fn ask_never_pays_more_than_there_is() -> Result<()> {
    let bank = Example::start("ask", &[]).await?;
    bank.says("grace takes 40: Paid { left: 60 }").await?;
    assert_eq!(bank.row("balances", "grace").await?, json!(60), "it is committed when the answer is there");

    let paid = bank.post("/withdraw/ada/30", "").await?;
    assert_eq!((paid.status, paid.json()?), (200, json!("paid 30, 70 left")));
    let refused = bank.post("/withdraw/ada/500", "").await?;
    assert_eq!((refused.status, refused.json()?), (409, json!("refused, 70 left")));

    // Five requests ask for 20 each of 70 at once, so three succeed.
    let answers = join_all((0..5).map(|_| bank.post("/withdraw/ada/20", ""))).await;
    let mut statuses: Vec<u16> = answers.into_iter().map(|answer| Ok(answer?.status)).collect::<Result<_>>()?;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 409, 409]);
    assert_eq!(bank.row("balances", "ada").await?, json!(10));
    bank.stop().await
}

#[tokio::test]
async fn global_table_converts_every_sale_on_all_workers() -> Result<()> {
    let market = Example::start("global_table", &["--workers", "2"]).await?;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() >= Some(500.0)).await?;
    assert_eq!(euros, json!(500.0));

    let put = ask("PUT", &market.site, "/tables/rates/GBP?wait=10000", "1.25").await?;
    assert_eq!(put.status, 200, "{put:?}");
    market.send("sales", json!({"value": ["GBP", 10]})).await?;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() > Some(500.0)).await?;
    assert_eq!(euros, json!(512.5));

    // A sale that cannot be converted does not hold up later sales for good.
    market.send("sales", json!({"value": ["XXX", 10]})).await?;
    market.says("event sent to `no-rate`").await?;
    market.send("sales", json!({"value": ["USD", 10]})).await?;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() > Some(512.5)).await?;
    assert_eq!(euros, json!(517.5));

    // The copy of the other worker reaches the same total.
    assert_eq!(market.others.len(), 1);
    let market = Example { site: market.others[0].clone(), ..market };
    market.row_when("turnover", "euros", |euros| *euros == json!(517.5)).await?;
    market.stop().await
}

#[tokio::test]
async fn timer_and_web_points_rise_and_fade_away() -> Result<()> {
    let pages = Example::start("timer_and_web", &[]).await?;
    pages.says("pages are trending").await?;
    pages.send("views", json!({"key": "/about", "value": 1024})).await?;
    let mut seen = Vec::new();
    for _ in 0..LOOKS {
        let answer = pages.get("/trending").await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows: Vec<(u64, &str)> = answer.text.lines().filter_map(row).collect();
        assert!(rows.is_sorted_by(|one, next| one.0 >= next.0), "{}", answer.text);
        match rows.iter().find(|(_, page)| *page == "/about") {
            Some((points, _)) => seen.push(*points),
            None if seen.is_empty() => {}
            None => break,
        }
        sleep(LOOK_EVERY).await;
    }
    seen.dedup();
    assert!(seen.len() >= 2, "it faded step by step: {seen:?}");
    assert!(seen.is_sorted_by(|one, next| one > next), "nothing rises by itself: {seen:?}");
    assert!(seen.iter().all(|points| 1024 % points == 0), "halved, and by nobody else: {seen:?}");
    assert_eq!(pages.row("points", "%2Fabout").await?, Value::Null);
    pages.stop().await
}

/// Parses a line of the page: points and a name.
fn row(line: &str) -> Option<(u64, &str)> {
    let (points, page) = line.trim_start().split_once("  ")?;
    Some((points.parse().ok()?, page))
}
