//! The options of a worker's web server.

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::config::Config;

/// The options of a worker's web server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WebOptions {
    /// The most connections that the web server has open at a time; further ones may only ask for
    /// /healthz and /readyz [default: 1024, but at most half of the files that the process may
    /// open]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    web_connections: Option<u32>,
    /// Refuses all changes over the web, from any caller
    #[arg(long, value_parser = FalseyValueParser::new())]
    web_read_only: bool,
    /// Allows the web server to listen where other machines can reach it without a --web-token;
    /// then everyone there may read and change
    #[arg(long, value_parser = FalseyValueParser::new())]
    web_open: bool,
    /// Another host name that requests may use for a web server on the loopback, such as the name
    /// of a proxy. May be given more than once
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    web_host: Vec<String>,
}

impl WebOptions {
    /// Merges these options with `top`, those at the top level. If both set an option, these win.
    pub(crate) fn over(self, top: Self) -> Self {
        Self {
            web_connections: self.web_connections.or(top.web_connections),
            web_read_only: self.web_read_only || top.web_read_only,
            web_open: self.web_open || top.web_open,
            web_host: if self.web_host.is_empty() { top.web_host } else { self.web_host },
        }
    }

    pub(crate) fn set(&self, config: &mut Config) {
        config.web_limits.connections = self.web_connections.map(|connections| connections as usize);
        config.web_read_only = self.web_read_only;
        config.web_open = self.web_open;
        config.web_hosts = self.web_host.clone();
    }
}
