//! The tables as a worker returns them over the web.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::Result;

/// The rows of each table, as a worker returned them.
pub type Copies = BTreeMap<String, BTreeMap<String, Value>>;

/// Asks the worker at `address` for all rows of `tables`.
///
/// # Errors
/// When the worker does not answer.
pub async fn of(address: SocketAddr, tables: &[&str]) -> Result<Copies> {
    let tables: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        tables.into_iter().map(|table| Ok((table.clone(), rows(address, &table)?))).collect()
    })
    .await?
}

fn rows(address: SocketAddr, table: &str) -> Result<BTreeMap<String, Value>> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .proxy(None)
        .build();
    let agent: ureq::Agent = config.into();
    let mut rows = BTreeMap::new();
    let mut page = format!("/tables/{table}?limit=10000&wait=10000");
    loop {
        let mut response = agent.get(format!("http://{address}{page}")).call()?;
        let text = response.body_mut().read_to_string()?;
        if response.status() != 200 {
            return Err(format!("http://{address}{page} answers {}: {text}", response.status()).into());
        }
        let answer: Value = serde_json::from_str(&text)?;
        for row in answer["rows"].as_array().into_iter().flatten() {
            let key = row["key"].as_str().map_or_else(|| row["key"].to_string(), str::to_owned);
            rows.insert(key, row["value"].clone());
        }
        match answer["next_page"].as_str() {
            Some(next) => page = next.to_owned(),
            None => return Ok(rows),
        }
    }
}
