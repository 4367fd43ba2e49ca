//! A cluster that all tests of a process share.

use std::sync::OnceLock;

use crate::cluster::Cluster;
use crate::config::{ClusterConfig, Size};
use crate::error::Error;

/// Returns the bootstrap addresses of a cluster that all tests of this process share.
///
/// The environment may name the cluster, with one variable for each size: `MARLOWE_TEST_KAFKA_1`
/// and `MARLOWE_TEST_KAFKA_3`. Otherwise the first call starts a cluster, which ends with the
/// process.
///
/// Other test programs may use the same cluster. So use topics and groups of your own, and do not
/// stop its brokers.
///
/// # Errors
/// The error of starting the cluster. The cluster is not started again by later calls.
pub fn shared(size: Size) -> Result<&'static str, &'static Error> {
    static ONE: Shared = Shared::new();
    static THREE: Shared = Shared::new();
    match size {
        Size::One => ONE.bootstrap("MARLOWE_TEST_KAFKA_1", size),
        Size::Three => THREE.bootstrap("MARLOWE_TEST_KAFKA_3", size),
    }
}

struct Shared(OnceLock<Result<(String, Option<Cluster>), Error>>);

impl Shared {
    const fn new() -> Shared {
        Shared(OnceLock::new())
    }

    fn bootstrap(&'static self, variable: &str, size: Size) -> Result<&'static str, &'static Error> {
        let cluster = self.0.get_or_init(|| match std::env::var(variable) {
            Ok(bootstrap) if !bootstrap.is_empty() => Ok((bootstrap, None)),
            _ => Cluster::start(ClusterConfig::new(size)).map(|cluster| (cluster.bootstrap(), Some(cluster))),
        });
        cluster.as_ref().map(|(bootstrap, _)| bootstrap.as_str())
    }
}
