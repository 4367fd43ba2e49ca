//! The stage of these tests: the embedded broker, in memory.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marlowe::Config;
use marlowe::config::BrokerChoice;
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::SharedBroker;

/// The session timeout in tests that crash a member.
pub(crate) const SESSION: Duration = Duration::from_millis(400);

/// The session timeout in tests in which no member may be expelled.
pub(crate) const CALM: Duration = Duration::from_secs(20);

/// A time in which a worker that starts after crashes may or may not get to work.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

/// The number of workers that crash one after another, at random times.
pub(crate) const CRASHES: u64 = 20;

/// The number of workers that may lead, one after another, until workers that start together have
/// shared out the shards.
pub(crate) const LEADERS: RangeInclusive<u32> = 1..=1;

/// Returns an empty broker.
pub(crate) async fn broker() -> SharedBroker {
    Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()))
}

/// Returns settings that keep all state between restarts in `folder`, also the broker's topics.
pub(crate) fn in_folder(mut config: Config, folder: &Path) -> Config {
    config.broker = BrokerChoice::Embedded;
    config.data_dir(folder)
}
