//! The conformance suite on the embedded broker, in memory and in a folder.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::conformance::Setting;
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

/// A session timeout that a slow machine can keep, and that a test can wait for.
const SESSION: Duration = Duration::from_secs(2);

mod memory {
    use super::*;

    async fn setting() -> Setting {
        let broker = EmbeddedBroker::in_memory(EmbeddedConfig::default());
        Setting::new(Arc::new(broker)).session_timeout(SESSION)
    }

    marlowe_broker::conformance_tests!(setting());
}

mod folder {
    use super::*;

    async fn setting() -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(folder.path(), EmbeddedConfig::default()).unwrap();
        Setting::new(Arc::new(broker)).session_timeout(SESSION).keeping(folder)
    }

    marlowe_broker::conformance_tests!(setting());
}
