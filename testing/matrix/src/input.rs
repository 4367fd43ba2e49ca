//! The events that are fed to the program.

use serde::{Deserialize, Serialize};

/// A number of failing attempts that is never reached, so the event or request always fails.
pub(crate) const ALWAYS: u32 = 1000;

/// An event that is fed to the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The number of the event.
    pub(crate) id: u64,
    /// The key of a row elsewhere.
    pub(crate) other: String,
    /// The number of attempts that fail.
    pub(crate) fails: u32,
}

impl Input {
    /// Returns whether an attempt succeeds in the end.
    pub(crate) fn succeeds(&self) -> bool {
        self.fails < ALWAYS
    }
}
