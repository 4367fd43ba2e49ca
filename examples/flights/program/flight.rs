//! The event of the program: a flight.

use serde::{Deserialize, Serialize};

/// A scheduled departure. The time for which it was scheduled is the record's timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) carrier: String,
    pub(crate) flight: u32,
    /// The tail number of the aircraft, if it is known.
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    /// The minutes by which it left late, or `None` if it was cancelled.
    pub(crate) dep_delay: Option<i64>,
    /// The minutes by which it arrived late, or `None` if it was cancelled or diverted.
    pub(crate) arr_delay: Option<i64>,
    /// The minutes in the air.
    pub(crate) air_time: Option<u32>,
    /// The distance in miles.
    pub(crate) distance: u32,
}
