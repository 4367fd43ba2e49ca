use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe_broker::BrokerError;
use parking_lot::Mutex;

/// The place of one producer among those of its transactional id: only the newest may write.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    id: Arc<str>,
    newest: Arc<AtomicU64>,
    mine: u64,
}

impl Epoch {
    /// That no newer producer has come.
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

/// The newest producer of each transactional id.
#[derive(Default)]
pub(crate) struct Epochs {
    newest: Mutex<HashMap<Arc<str>, Arc<AtomicU64>>>,
}

impl Epochs {
    /// A new producer, which fences those before it.
    pub(crate) fn enlist(&self, id: Arc<str>) -> Epoch {
        let newest = self.newest.lock().entry(id.clone()).or_default().clone();
        let mine = newest.fetch_add(1, Ordering::AcqRel) + 1;
        Epoch { id, newest, mine }
    }
}
