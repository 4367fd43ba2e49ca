use marlowe_state::SlicePosition;

/// Why another worker did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// It does not have the partition, or not since the generation that was asked for.
    #[error("it does not have the partition (any more)")]
    Misdirected,
    /// It has the partition, but it was not open in time, or not as far as wanted.
    #[error("{reason}")]
    NotNow {
        /// What it said.
        reason: String,
        /// How far it was, if it was open.
        position: Option<SlicePosition>,
    },
    /// Nobody answered.
    #[error("it was not reached: {0}")]
    Unreachable(String),
    /// It refused, or answered what is not understood: to ask again would not help.
    #[error("{0}")]
    Refused(String),
}
