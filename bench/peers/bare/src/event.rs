use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What is read; its texts are borrowed from librdkafka's memory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event<'a> {
    /// The key.
    #[serde(borrow)]
    pub(crate) page: Cow<'a, str>,
    /// Who it was.
    #[serde(borrow)]
    user: Cow<'a, str>,
    /// When it was sent, in microseconds since 1970.
    at: u64,
    /// What they looked with.
    #[serde(borrow)]
    agent: Cow<'a, str>,
}
