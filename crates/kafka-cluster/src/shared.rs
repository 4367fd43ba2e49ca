use std::sync::OnceLock;

use crate::cluster::Cluster;
use crate::config::{ClusterConfig, Size};
use crate::error::Error;

/// The addresses of a cluster that all tests of this process share. Use topics and groups of your own, and do it no harm:
/// it may be shared with other test programs as well.
///
/// It is the one that the environment names (`MARLOWE_TEST_KAFKA_1`, `MARLOWE_TEST_KAFKA_3`: one for each size), or one
/// that is started at the first use and ends with the process.
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
