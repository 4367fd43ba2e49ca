//! The options of a worker that runs together with others.

use clap::Args;

use crate::cluster::ClusterToken;
use crate::config::Config;

/// The options of a worker that runs together with others.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterOptions {
    /// The URL at which other workers find this one [default: where the web server listens]
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// A secret that all workers of the app share; they answer each other only if a request is
    /// signed with it. The environment variable is safer, because other users of the machine can
    /// see the command line [default: none]
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    cluster_token: Option<ClusterToken>,
    /// The number of workers that keep a copy of each shard's tables, ready to take it over; the
    /// same for all workers of the app [default: 0]
    #[arg(long, value_name = "N")]
    standby_replicas: Option<u16>,
}

impl ClusterOptions {
    /// Merges these options with `top`, those at the top level. If both set an option, these win.
    pub(crate) fn over(self, top: Self) -> Self {
        Self {
            advertise: self.advertise.or(top.advertise),
            cluster_token: self.cluster_token.or(top.cluster_token),
            standby_replicas: self.standby_replicas.or(top.standby_replicas),
        }
    }

    pub(crate) fn set(&self, config: &mut Config) {
        config.advertise = self.advertise.clone();
        config.cluster_token = self.cluster_token.clone();
        config.standby_replicas = usize::from(self.standby_replicas.unwrap_or(0));
    }
}
