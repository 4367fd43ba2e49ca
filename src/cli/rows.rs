use serde_json::Value;

use super::arguments::{TableArguments, Web};
use super::client::RunningWorker;
use super::console::{Console, Style};
use super::error::CliError;
use super::grid::Grid;
use super::named::Unknown;
use crate::program::Program;
use crate::web::percent::encode;

/// The command `table`: asks a running worker for rows.
pub(crate) fn show(program: &Program, asked: &TableArguments, web: Web, console: &Console) -> Result<(), CliError> {
    let Some(table) = program.table(&asked.name) else {
        let known = program.tables.iter().map(|table| table.name().clone());
        return Err(Unknown::new("table", &asked.name, known).into());
    };
    let worker = RunningWorker::find(web, &program.app)?;
    let path = format!("/tables/{}", encode(table.name().as_bytes()));
    let answer = worker.get(&match &asked.key {
        Some(key) => format!("{path}/{}{}", encode(key.as_bytes()), asked.row_query()),
        None => format!("{path}{}", asked.page_query()),
    })?;
    console.answer(&answer, || {
        let rows = match answer.get("rows").and_then(Value::as_array) {
            Some(rows) => rows.iter().collect(),
            None => vec![&answer],
        };
        let mut grid = Grid::new(["key", "value", "partition"]);
        for row in rows {
            let cell = |name: &str| row.get(name).map(text).unwrap_or_default();
            grid.row([cell("key"), cell("value"), cell("partition")]);
        }
        let mut text = grid.text(console);
        if let Some(next) = answer.get("next").and_then(Value::as_str) {
            text.push('\n');
            text.push_str(&console.paint(Style::Faint, &format!("there are more: --from '{next}'")));
        }
        text
    });
    Ok(())
}

/// A value for people: text without its quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
