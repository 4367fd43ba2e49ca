use serde::{Deserialize, Serialize};

/// A scheduled departure. When it was scheduled is the record's timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) carrier: String,
    pub(crate) flight: u32,
    /// The aircraft, where it is known.
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    /// How many minutes late it left; none when it was cancelled.
    pub(crate) dep_delay: Option<i64>,
    /// How many minutes late it arrived; none when it was cancelled or diverted.
    pub(crate) arr_delay: Option<i64>,
    /// Minutes in the air.
    pub(crate) air_time: Option<u32>,
    /// Miles.
    pub(crate) distance: u32,
}
