use std::time::{Duration, Instant};

use crate::PeersResult;
use crate::kafka::Kafka;

/// Whether a group has had all its members for a while: till then they share the partitions out.
pub(crate) struct Gathering<'a> {
    kafka: &'a Kafka,
    group: &'a str,
    members: usize,
    settles: Duration,
    complete_since: Option<Instant>,
}

impl<'a> Gathering<'a> {
    /// Of a group that will have so many members, and has gathered when it had them for as long as `settles`.
    pub(crate) fn of(kafka: &'a Kafka, group: &'a str, members: usize, settles: Duration) -> Self {
        Self { kafka, group, members, settles, complete_since: None }
    }

    /// Whether it has gathered, as it is seen now.
    pub(crate) fn is_over(&mut self) -> PeersResult<bool> {
        if !self.kafka.has_members(self.group, self.members)? {
            self.complete_since = None;
            return Ok(false);
        }
        Ok(self.complete_since.get_or_insert_with(Instant::now).elapsed() >= self.settles)
    }
}
