//! The embedded broker, in memory.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marlowe::{BrokerChoice, Config, EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::SharedBroker;

/// How long anything may take. Nothing needs a tenth of it; it is there so that nothing hangs.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// How long a member may be silent in tests that crash one.
pub(crate) const SESSION: Duration = Duration::from_millis(400);

/// The same in tests in which nobody is to be taken for dead.
pub(crate) const CALM: Duration = Duration::from_secs(20);

/// A time in which a worker that starts, after others that crashed, gets to work, or not.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

/// How many workers crash, one after the other, where chance says when.
pub(crate) const CRASHES: u64 = 20;

/// How many of the workers that start together may lead, one after the other, before they have shared out what there is.
pub(crate) const LEADERS: RangeInclusive<u32> = 1..=1;

/// A broker and nothing on it.
pub(crate) async fn broker() -> SharedBroker {
    Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()))
}

/// Settings under which all that is kept between restarts, the broker's topics too, is in a folder.
pub(crate) fn in_folder(mut config: Config, folder: &Path) -> Config {
    config.broker = BrokerChoice::Embedded;
    config.data_dir(folder)
}
