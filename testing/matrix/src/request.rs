//! Requests to the agent that answers, its answers, and the outcomes that callers know.

use serde::{Deserialize, Serialize};

/// A request to the agent that answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The id: `q` and a number if a caller waits for the answer, `e` and the event's id if an
    /// event sent it.
    pub(crate) id: String,
    /// The number of attempts that fail.
    pub(crate) fails: u32,
}

/// The answer of the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The id of the request.
    pub(crate) id: String,
    /// The number of requests that the row has had, including this one.
    pub(crate) place: usize,
}

/// A request, and its outcome as the caller knows it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) key: String,
    /// The number of attempts that fail.
    pub(crate) fails: u32,
    pub(crate) outcome: AskOutcome,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskOutcome {
    /// It was answered with its place in the row.
    Answered(usize),
    /// It failed, and was skipped.
    Failed,
    /// It is unknown, because the answer came too late or never.
    InDoubt,
}
