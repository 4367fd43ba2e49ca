//! Tests of the main job: agents that share tables count a year of flights. The counts must equal
//! those of a plain loop over the file, on one worker, on three, and after many kills.

mod browser;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "sim")]
mod in_simulation;
mod recount;

#[path = "../../examples/flights/program/mod.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

use common::TestResult;
use common::address::any_port;
use common::client::Client;
use common::example::example;
use common::process::Process;
use marlowe::{App, Config, Running};
use marlowe_broker::{Entropy, SeededEntropy, SystemEntropy};
use program::{Drawing, Feed, Screen, Tables};
use recount::{Counted, shipped};
use rustix::process::Signal;

/// The number of rows: all of them, or a part of them in a build without optimization.
const ROWS: usize = if cfg!(debug_assertions) { 60_000 } else { usize::MAX };

/// Runs the program until all its input is counted.
async fn counted(feed: Feed, config: Config) -> TestResult<(Running, Tables)> {
    let mut app = App::new("flights");
    let tables = program::declare(&mut app, feed, Screen::new(std::io::sink(), Drawing::Below));
    let mut running = app.start(config).await?;
    running.drain().await?;
    Ok((running, tables))
}

#[tokio::test]
async fn all_rows_equal_a_plain_recount_of_the_file() -> TestResult {
    let (running, tables) = counted(Feed::default(), Config::default().without_web()).await?;
    assert_eq!(Counted::by(&running, tables, 0).await?, Counted::of(&shipped(usize::MAX)?));
    Ok(running.stop().await?)
}

#[tokio::test]
async fn three_workers_count_the_same_and_agree_on_the_totals() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (csv, text) = (folder.path().join("flights.csv"), shipped(ROWS)?);
    std::fs::write(&csv, &text)?;
    let (running, tables) = counted(Feed::from(csv), Config::default().workers(3).web(any_port())).await?;
    let expected = Counted::of(&text);
    let flights = expected.totals["flights"];
    for worker in 0..3 {
        assert_eq!(Counted::by(&running, tables, worker).await?, expected, "worker {worker}");
        let client = Client::new(running.web_addresses()[worker]);
        let row = client.ask_meanwhile("GET", "/tables/totals/flights", "").await.expect(200);
        assert_eq!(row["value"], flights, "worker {worker}: {row}");
    }
    Ok(running.stop().await?)
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn two_workers_on_kafka_count_the_same() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (csv, text) = (folder.path().join("flights.csv"), shipped(ROWS)?);
    std::fs::write(&csv, &text)?;
    let brokers = kafka_cluster::shared(kafka_cluster::Size::One).map_err(ToString::to_string)?;
    let config = Config::default().kafka(marlowe::kafka::KafkaConfig::new(brokers)).workers(2).without_web();
    let (running, tables) = counted(Feed::from(csv), config).await?;
    let expected = Counted::of(&text);
    for worker in 0..2 {
        assert_eq!(Counted::by(&running, tables, worker).await?, expected, "worker {worker}");
    }
    Ok(running.stop().await?)
}

/// Starts the program as users start it, with its data in `folder/data`. It ends when all its input
/// is counted.
fn life(csv: &Path, folder: &Path, arguments: &[&str]) -> std::io::Result<Process> {
    let mut command = example("flights");
    command.arg("--input").arg(csv).arg("--data-dir").arg(folder.join("data"));
    Process::start(command.args(["--drain", "--web", "off"]).args(arguments))
}

/// The number of times that the program is killed, each at a random moment.
const KILLS: usize = 20;

/// The time that the feed would take without kills, in seconds. It must be slow, so that the kills
/// fall into the work.
const FEED_SECONDS: usize = 12;

#[tokio::test]
async fn twenty_kills_lose_nothing_and_count_nothing_twice() -> TestResult {
    let seed = match std::env::var("FLIGHTS_KILL_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => SystemEntropy.next(),
    };
    killed_at_random(seed).await.map_err(|error| format!("FLIGHTS_KILL_SEED={seed}: {error}").into())
}

async fn killed_at_random(seed: u64) -> TestResult {
    let chance = SeededEntropy::new(seed);
    let folder = tempfile::tempdir()?;
    let (csv, text) = (folder.path().join("flights.csv"), shipped(ROWS)?);
    std::fs::write(&csv, &text)?;
    let rate = (text.lines().count() / FEED_SECONDS).to_string();
    let mut killed = 0;
    for number in 0..KILLS {
        let mut process = life(&csv, folder.path(), &["--rate", &rate])?;
        let moment = Duration::from_millis(50 + chance.next() % 1450);
        match process.ended(moment).await {
            None => {
                process.signal(Signal::KILL);
                killed += 1;
            }
            Some(status) if status.success() => {}
            Some(status) => return Err(format!("life {number} ended with {status}: {}", process.err()).into()),
        }
    }
    if killed < KILLS / 2 {
        return Err(format!("only {killed} of {KILLS} lives were cut short: raise FEED_SECONDS").into());
    }
    let mut last = life(&csv, folder.path(), &[])?;
    match last.ended(Duration::from_secs(60)).await {
        Some(status) if status.success() => {}
        status => return Err(format!("the last life: {status:?}: {}", last.err()).into()),
    }
    let config = Config::default().without_web().data_dir(folder.path().join("data"));
    let (running, tables) = counted(Feed::from(csv), config).await?;
    let (counted, expected) = (Counted::by(&running, tables, 0).await?, Counted::of(&text));
    if counted != expected {
        return Err(format!("counted {counted:#?}, expected {expected:#?}").into());
    }
    Ok(running.stop().await?)
}

#[tokio::test]
async fn a_bad_row_is_named_and_the_rows_before_it_count_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (csv, good) = (folder.path().join("flights.csv"), shipped(3000)?);
    for (bad, column, complaint) in [
        (break_row(&good, 2000, |row| row[6] = "soon"), "column `dep_delay`: \"soon\"", "invalid digit"),
        (break_row(&good, 2000, |row| row[0] = "today"), "column `scheduled`: \"today\"", "cannot be read"),
        (break_row(&good, 2000, |row| row.truncate(7)), "7 fields", "10"),
    ] {
        std::fs::write(&csv, &bad)?;
        let mut process = life(&csv, folder.path(), &[])?;
        let status = process.end().await;
        let said = process.err();
        assert_eq!(status.code(), Some(1), "{said}");
        // Line 1 names the columns, so row 2000 is in line 2001.
        for part in [csv.to_str().unwrap_or_default(), "line 2001", column, complaint, "start again"] {
            assert!(said.contains(part), "no {part:?} in: {said}");
        }
    }
    std::fs::write(&csv, &good)?;
    let config = Config::default().without_web().data_dir(folder.path().join("data"));
    let (running, tables) = counted(Feed::from(csv), config).await?;
    assert_eq!(Counted::by(&running, tables, 0).await?, Counted::of(&good));
    Ok(running.stop().await?)
}

/// Returns the text with row `number` changed.
fn break_row(csv: &str, number: usize, change: impl FnOnce(&mut Vec<&str>)) -> String {
    let mut lines: Vec<String> = csv.lines().map(str::to_owned).collect();
    let mut row: Vec<&str> = csv.lines().nth(number).unwrap_or_default().split(',').collect();
    change(&mut row);
    lines[number] = row.join(",");
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn a_missing_file_is_named_with_the_fix() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut process = life(Path::new("no-such.csv"), folder.path(), &[])?;
    let status = process.end().await;
    let said = process.err();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("no-such.csv") && said.contains("--input"), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_board_is_a_page_that_a_browser_shows() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (csv, text) = (folder.path().join("flights.csv"), shipped(5000)?);
    std::fs::write(&csv, &text)?;
    let (running, _) = counted(Feed::from(csv), Config::default().web(any_port())).await?;
    let page = browser::dom(&format!("http://{}/board", running.web_addresses()[0])).await?;
    assert!(page.contains("United Air Lines") && page.contains("JetBlue Airways"), "{page}");
    assert!(page.contains(">JFK<") && page.contains("Chicago"), "{page}");
    assert!(page.contains("<dd id=\"flights\">5,000</dd>"), "{page}");
    let cancelled = Counted::of(&text).totals["cancelled"];
    assert!(page.contains(&format!("<dd id=\"cancelled\">{cancelled}</dd>")), "{page}");
    // The page's script ran without an error.
    assert!(page.contains("role=\"status\">Live<"), "{page}");
    Ok(running.stop().await?)
}
