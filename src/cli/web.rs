use clap::Args;

use crate::config::Config;

/// Options of a worker's web server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WebOptions {
    /// How many connections the web server has open at a time; further ones may ask for /healthz and /readyz only [default: 1024, but
    /// at most half of the files that the process may open]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    web_connections: Option<u32>,
}

impl WebOptions {
    /// The options' names.
    pub(crate) const NAMES: [&str; 1] = ["web_connections"];

    /// These, over those at the top.
    pub(crate) fn over(self, top: Self) -> Self {
        Self { web_connections: self.web_connections.or(top.web_connections) }
    }

    pub(crate) fn set(&self, config: &mut Config) {
        config.web_limits.connections = self.web_connections.map(|connections| connections as usize);
    }
}
