//! The topics that a group declares to read, so that a broker can keep records it has not read yet.

use std::sync::Arc;

/// A topic that a group reads, and what is to become of records there that it has not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The topic.
    pub topic: Arc<str>,
    /// What retention does with records that the group has not read.
    pub unread: Unread,
}

/// What retention does with records that a group has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unread {
    /// They stay until they are read, where the broker can see to that; where it cannot, the group stops and says what it lost.
    #[default]
    Keep,
    /// They go when their time is over, and the group goes on after them.
    Expire,
}
