//! The attempts that an agent made, which decide when an event or a request stops failing.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The number of attempts that an agent made for each event or request that is to fail, by its id.
#[derive(Default)]
pub(crate) struct Tries(Mutex<BTreeMap<String, u32>>);

impl Tries {
    /// Returns whether this attempt fails. The first `fails` attempts do.
    pub(crate) fn fails(&self, id: impl ToString, fails: u32) -> bool {
        if fails == 0 {
            return false;
        }
        let mut tries = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let tried = tries.entry(id.to_string()).or_default();
        *tried += 1;
        *tried <= fails
    }
}
