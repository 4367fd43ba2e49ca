//! The recent times at which a static member was fenced.

use std::time::Duration;

use tokio::time::Instant;

/// The number of times within a session that a static member may take its name back.
const TAKEN_BACK: usize = 2;

/// The recent times at which a static member was fenced under its name.
///
/// A static member can be fenced although no other member has its name. This happens when a
/// coordinator forgets that the member has joined, because the coordinator's broker ends before the
/// group is stable. The member goes on with the identity that it was told, and is fenced. It must
/// then join again.
///
/// Two workers with the same name fence each other again and again. Each of them notices it at most
/// a tenth of a session later. So more than [`TAKEN_BACK`] times within a session mean that another
/// worker has the name, and one of the two has to end.
pub(crate) struct FencingHistory {
    session: Duration,
    lately: Vec<Instant>,
}

impl FencingHistory {
    pub(crate) fn within(session: Duration) -> Self {
        Self { session, lately: Vec::new() }
    }

    /// Counts one more time, and returns whether another worker must have the name.
    pub(crate) fn are_too_many(&mut self) -> bool {
        let now = Instant::now();
        self.lately.retain(|at| now.duration_since(*at) < self.session);
        self.lately.push(now);
        self.lately.len() > TAKEN_BACK
    }
}
