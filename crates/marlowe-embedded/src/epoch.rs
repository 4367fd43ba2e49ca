//! Epochs of transactional producers, by which a newer producer fences the older ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe_broker::BrokerError;
use parking_lot::Mutex;

/// The epoch of one producer among all producers with its transactional id. Only the newest of them
/// may write.
///
/// The ledger checks the epoch of each write, in the same order in which it opens new producers. So
/// nothing that an older producer sends can be stored after a newer one was opened. Epochs are not
/// stored, because no producer outlives its broker.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    id: Arc<str>,
    newest: Arc<AtomicU64>,
    mine: u64,
}

impl Epoch {
    /// Checks that no newer producer has the transactional id.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        if self.newest.load(Ordering::Acquire) == self.mine {
            return Ok(());
        }
        Err(BrokerError::Fenced {
            who: format!("transactional producer `{}`", self.id),
            reason: "a newer producer has the same transactional id".to_owned(),
        })
    }
}

/// The newest epoch of each transactional id.
#[derive(Default)]
pub(crate) struct Epochs {
    newest: Mutex<HashMap<Arc<str>, Arc<AtomicU64>>>,
}

impl Epochs {
    /// Returns the epoch of a new producer, which fences the producers before it.
    pub(crate) fn enlist(&self, id: Arc<str>) -> Epoch {
        let newest = self.newest.lock().entry(id.clone()).or_default().clone();
        let mine = newest.fetch_add(1, Ordering::AcqRel) + 1;
        Epoch { id, newest, mine }
    }
}
