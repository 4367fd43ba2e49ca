//! The command `table`: shows rows of a table, which it gets from a running worker.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::client::RunningWorker;
use crate::cli::console::{Console, Style};
use crate::cli::error::CliError;
use crate::cli::grid::Grid;
use crate::cli::named::Unknown;
use crate::cli::options::{AskedAt, TableArguments};
use crate::codec::encode;
use crate::plain::plain;
use crate::program::Program;

/// Runs the command `table`: asks a running worker for rows.
pub(crate) async fn show(
    program: &Program,
    asked: &TableArguments,
    at: &AskedAt,
    console: &Console,
) -> Result<(), CliError> {
    let Some(table) = program.table(&asked.name) else {
        let known = program.tables.iter().map(|table| table.name().clone());
        return Err(Unknown::new("table", &asked.name, known).into());
    };
    let worker = RunningWorker::find(at, &program.app).await?;
    let path = format!("/tables/{}", encode(table.name().as_bytes()));
    let path = match &asked.key {
        Some(key) => format!("{path}/{}{}", encode(key.as_bytes()), asked.row_query()),
        None => format!("{path}{}", asked.page_query()),
    };
    let answer = worker.get(&path).await?;
    let (rows, next) = match &asked.key {
        Some(_) => serde_json::from_str(answer.get()).map(|row: AnsweredRow| (vec![row], None)),
        None => serde_json::from_str(answer.get()).map(|page: AnsweredPage| (page.rows, page.next)),
    }
    .map_err(|_| worker.is_none())?;
    console.answer(&answer, || {
        let mut grid = Grid::new(["key", "value", "partition"]);
        for AnsweredRow { key, value, error, partition } in &rows {
            // A row that does not decode shows the error in place of its value.
            let value = match (error, value) {
                (Some(error), _) => error.clone(),
                (None, Some(value)) => text(value),
                (None, None) => String::new(),
            };
            grid.row([text(key), value, partition.map(|partition| partition.to_string()).unwrap_or_default()]);
        }
        let mut text = grid.text(console);
        if let Some(next) = &next {
            text.push('\n');
            text.push_str(&console.paint(Style::Faint, &format!("there are more rows: add --from '{}'", plain(next))));
        }
        text
    });
    Ok(())
}

/// A page of rows, in the form in which a worker answers.
#[derive(Deserialize)]
struct AnsweredPage {
    rows: Vec<AnsweredRow>,
    next: Option<String>,
}

/// A row, in the form in which a worker answers.
#[derive(Deserialize)]
struct AnsweredRow {
    key: Box<RawValue>,
    value: Option<Box<RawValue>>,
    /// The reason why the row does not decode.
    error: Option<String>,
    partition: Option<u32>,
}

/// Returns a value as people read it: text without its quotes.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

impl TableArguments {
    fn row_query(&self) -> String {
        self.partition.map(|partition| format!("?partition={partition}")).unwrap_or_default()
    }

    fn page_query(&self) -> String {
        let mut query = format!("?limit={}", self.limit);
        for (name, value) in [("prefix", &self.prefix), ("from", &self.from)] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", encode(value.as_bytes())));
            }
        }
        if let Some(partition) = self.partition {
            query.push_str(&format!("&partition={partition}"));
        }
        query
    }
}
