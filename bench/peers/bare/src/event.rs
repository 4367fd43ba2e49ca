//! The event that the bare loop reads.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// An event as it is read. Its texts borrow from librdkafka's memory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event<'a> {
    /// The key.
    #[serde(borrow)]
    pub(crate) page: Cow<'a, str>,
    /// The user who viewed the page.
    #[serde(borrow)]
    user: Cow<'a, str>,
    /// The time of sending, in microseconds since 1970.
    at: u64,
    /// The user agent of the browser.
    #[serde(borrow)]
    agent: Cow<'a, str>,
}
