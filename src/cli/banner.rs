//! The banner that a worker prints when it has started.

use std::net::SocketAddr;

use serde::Serialize;

use super::console::{Console, Style};
use super::options::MARLOWE;
use crate::config::{BrokerChoice, Config};
use crate::plain::plain;
use crate::program::Guarantee;
use crate::running::Running;
use crate::tls::WebTls;

/// The banner that a worker prints when it has started.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Banner {
    event: &'static str,
    id: String,
    version: Option<String>,
    marlowe: &'static str,
    broker: String,
    #[serde(skip)]
    embedded: bool,
    instance: Option<String>,
    data_dir: Option<String>,
    web: Vec<SocketAddr>,
    #[serde(skip)]
    scheme: &'static str,
    workers: usize,
    lanes: usize,
    guarantee: Guarantee,
    pid: u32,
}

impl Banner {
    pub(crate) fn of(running: &Running, config: &Config, version: Option<String>) -> Self {
        Self {
            event: "start",
            id: running.shared.program.app.to_string(),
            version,
            marlowe: MARLOWE,
            broker: running.shared.broker.location(),
            embedded: matches!(config.broker, BrokerChoice::Embedded),
            instance: config.instance_name().map(str::to_owned),
            data_dir: config.data_dir.as_ref().map(|folder| folder.display().to_string()),
            web: running.web_addresses(),
            scheme: if config.web_tls.as_ref().is_some_and(WebTls::serves) { "https" } else { "http" },
            workers: running.workers.len(),
            lanes: config.lanes_per_worker(),
            guarantee: running.shared.program.guarantee,
            pid: std::process::id(),
        }
    }

    pub(crate) fn text(&self, console: &Console) -> String {
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let web: Vec<String> = self.web.iter().map(|address| format!("{}://{address}", self.scheme)).collect();
        let lanes = if self.lanes == 1 { "1 lane".to_owned() } else { format!("{} lanes", self.lanes) };
        let each = if self.workers == 1 { "" } else { " each" };
        let workers = format!("{}, with {lanes}{each}", self.workers);
        let no_folder = match self.embedded {
            true => "memory (nothing is kept after a stop; --data-dir DIR keeps it)",
            false => "memory (a restart restores the tables from Kafka; --data-dir DIR keeps them)",
        };
        let rows = [
            ("id", format!("{}{version}", self.id)),
            ("broker", if self.embedded { format!("embedded, {}", self.broker) } else { self.broker.clone() }),
            ("data dir", self.data_dir.clone().unwrap_or(no_folder.into())),
            ("web", if web.is_empty() { "off".into() } else { web.join(", ") }),
            ("workers", workers),
            (
                "guarantee",
                match self.guarantee {
                    Guarantee::ExactlyOnce => "exactly once".into(),
                    Guarantee::AtLeastOnce => "at least once".into(),
                },
            ),
            ("pid", self.pid.to_string()),
        ];
        let mut text = console.paint(Style::Heading, &format!("marlowe {}", self.marlowe));
        for (name, value) in rows {
            let value = plain(&value);
            text.push_str(&format!("\n  {} {value}", console.paint(Style::Name, &format!("{name:<10}"))));
        }
        text
    }
}
