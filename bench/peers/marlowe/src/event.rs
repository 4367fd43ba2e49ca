//! The event that Marlowe's program reads.

use marlowe::compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// An event as it is read: a view of a page.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event {
    /// The key.
    pub(crate) page: CompactString,
    /// The user who viewed the page.
    pub(crate) user: CompactString,
    /// The time of sending, in microseconds since 1970.
    at: u64,
    /// The user agent of the browser.
    agent: String,
}
