//! The wait until a group has all its members.

use std::time::{Duration, Instant};

use crate::PeersResult;
use crate::kafka::Kafka;

/// A check whether a group has had all its members for a while. Until then, the members still share
/// the partitions out.
pub(crate) struct Gathering<'a> {
    kafka: &'a Kafka,
    group: &'a str,
    members: usize,
    settles: Duration,
    complete_since: Option<Instant>,
}

impl<'a> Gathering<'a> {
    /// Creates the check of a group that will have `members` members. The group has gathered when
    /// it has had all of them for `settles`.
    pub(crate) fn of(kafka: &'a Kafka, group: &'a str, members: usize, settles: Duration) -> Self {
        Self { kafka, group, members, settles, complete_since: None }
    }

    /// Returns whether the group has gathered by now.
    pub(crate) fn is_over(&mut self) -> PeersResult<bool> {
        if !self.kafka.has_members(self.group, self.members)? {
            self.complete_since = None;
            return Ok(false);
        }
        Ok(self.complete_since.get_or_insert_with(Instant::now).elapsed() >= self.settles)
    }
}
