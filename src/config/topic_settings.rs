//! The settings of the topics that Marlowe creates.

use std::time::Duration;

/// The settings of the topics that Marlowe creates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicSettings {
    /// The time for which changelogs keep tombstones.
    pub(crate) tombstone_retention: Duration,
    /// The size of the largest record that they take, in bytes. `None` leaves it to the broker.
    pub(crate) max_message_bytes: Option<usize>,
}
