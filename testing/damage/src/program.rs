//! The program that fills folders and reads them.

use std::path::Path;
use std::process::ExitCode;

use marlowe::{App, Config, GlobalTable, Table, Topic};

/// The exit code of a program that said why it refuses to run.
pub(crate) const REFUSED: u8 = 7;

const PARTITIONS: u32 = 3;

/// A limit above the number of rows.
const ALL: usize = 10_000;

/// A program with a table of each kind.
struct Program {
    app: App,
    numbers: Topic<String, u64>,
    sums: Table<String, u64>,
    totals: GlobalTable<String, u64>,
}

fn program() -> Program {
    let mut app = App::new("damage");
    let numbers = app.topic::<String, u64>("numbers").partitions(PARTITIONS);
    let sums = app.table::<String, u64>("sums");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    app.agent("sum", numbers).with((sums, totals)).each_event(async |(sums, totals), event| {
        sums.update(event.key, |sum| *sum += event.value);
        totals.send(format!("total-{}", event.value % 7), event.value);
        Ok(())
    });
    Program { app, numbers, sums, totals }
}

fn config(folder: &Path) -> Config {
    Config::default().without_web().lanes(1).data_dir(folder)
}

/// Fills a folder with rows.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn fill(folder: &Path, edition: u64) -> Result<(), Box<dyn std::error::Error>> {
    // Some rows should be written to a store that was opened again, so there are two runs.
    for run in 0..2 {
        let Program { app, numbers, .. } = program();
        let mut running = app.start(config(folder)).await?;
        let to = running.open(numbers);
        for number in 0..300 {
            to.send(&format!("key-{}", number * (edition + 1)), &(number + run)).await?;
        }
        running.drain().await?;
        running.stop().await?;
    }
    Ok(())
}

/// Runs the program in the folder, prints all rows, and ends.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn look(folder: &Path) -> ExitCode {
    match rows(folder).await {
        Ok(rows) => {
            println!("{rows}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(REFUSED)
        }
    }
}

async fn rows(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let Program { app, sums, totals, .. } = program();
    let mut running = app.start(config(folder)).await?;
    running.drain().await?;
    let sums = running.open(sums.view()).page(.., ALL).await?;
    let reader = running.open(totals);
    let totals: Vec<_> = (0..7).map(|number| reader.get(&*format!("total-{number}"))).collect();
    running.stop().await?;
    Ok(serde_json::json!({ "sums": sums, "totals": totals }).to_string())
}
