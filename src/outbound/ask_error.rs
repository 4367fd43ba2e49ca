//! The error of asking an agent.

use std::sync::Arc;
use std::time::Duration;

use super::producer::SendError;
use super::sent::Sent;
use crate::codec::CodecError;

/// The reason why an agent that was asked gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The request could not be sent.
    #[error("agent `{agent}` was not asked: {source}")]
    Send {
        /// The agent.
        agent: Arc<str>,
        /// The error of the send.
        source: SendError,
    },
    /// The agent could not handle the request. It skipped the request or sent it to its dead-letter
    /// topic. Nothing that the handler did was applied.
    #[error("agent `{agent}` did not handle {request}: {reason}")]
    Failed {
        /// The agent.
        agent: Arc<str>,
        /// The request.
        request: Sent,
        /// The agent's error.
        reason: String,
    },
    /// No answer came in time.
    #[error("agent `{agent}` did not answer within {waited:?}: {}", state(request))]
    TimedOut {
        /// The agent.
        agent: Arc<str>,
        /// The time that the caller waited.
        waited: Duration,
        /// The request, if the broker took it in that time.
        request: Option<Sent>,
    },
    /// The answer does not decode.
    #[error("agent `{agent}` answered {request}, and the answer does not decode: {source}")]
    Codec {
        /// The agent.
        agent: Arc<str>,
        /// The request.
        request: Sent,
        /// The codec's error.
        source: CodecError,
    },
    /// The worker or client that asked has stopped, and does not receive answers any more.
    #[error(
        "agent `{agent}`: the worker or client that asked it has stopped, and receives no answers any more; {}",
        state(request)
    )]
    Stopped {
        /// The agent.
        agent: Arc<str>,
        /// The request, if the broker took it.
        request: Option<Sent>,
    },
}

fn state(request: &Option<Sent>) -> String {
    match request {
        Some(request) => format!(
            "the broker has the request, {request}: it is handled once, now or later, and its answer is dropped. The \
             log of the worker that has this partition says whether it failed"
        ),
        None => {
            "the broker has not confirmed the request, which may still be handled: look at the result before you ask \
             again"
                .into()
        }
    }
}
