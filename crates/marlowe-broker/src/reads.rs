//! The topics that a group declares it reads. A broker can then keep records that the group has not
//! read yet.

use std::sync::Arc;

/// A topic that a group reads, and what retention does with its unread records there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The topic.
    pub topic: Arc<str>,
    /// The treatment of records that the group has not read.
    pub unread: Unread,
}

/// The choice of what retention does with records that a group has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unread {
    /// Unread records stay until they are read, if the broker can ensure that. If it cannot, the
    /// group stops and reports what it lost.
    #[default]
    Keep,
    /// Unread records go when their retention is over, and the group continues after them.
    Expire,
}
