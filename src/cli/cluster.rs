use clap::Args;

use crate::cluster::ClusterToken;
use crate::config::Config;

/// Options of a worker that is one of several.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterOptions {
    /// Where other workers find this one [default: where the web server listens]
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// A secret that the app's workers share: they answer each other only where it is said. Better in the environment than
    /// here, where other users of the machine see it [default: none]
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    cluster_token: Option<ClusterToken>,
    /// How many workers stand by for each shard; the same for all workers of the app [default: 0]
    #[arg(long, value_name = "N")]
    standby_replicas: Option<u16>,
}

impl ClusterOptions {
    /// These, over those at the top.
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
