//! The error of a question to another worker.

use marlowe_state::SlicePosition;

/// The reason why another worker did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// It does not have the partition, or took it before the generation that the question names.
    #[error("it does not have the partition (any more)")]
    Misdirected,
    /// It has the partition, but the partition was not open in time, or not at the wanted position.
    #[error("{reason}")]
    NotNow {
        /// The worker's reason.
        reason: String,
        /// The position of the partition, if it was open.
        position: Option<SlicePosition>,
    },
    /// The worker could not be reached, or did not answer in time.
    #[error("it was not reached: {0}")]
    Unreachable(String),
    /// It refused, or its answer is not understood. Asking again would not help.
    #[error("{0}")]
    Refused(String),
}
