use std::time::Duration;

use tokio::time::Instant;

/// How many times within a session a member takes its name back.
const TAKEN_BACK: usize = 2;

/// When a member with a name that lasts was fenced under it, lately.
///
/// A joining that a coordinator forgets, because its broker ends before the group is settled, fences the member itself when it
/// goes on with what it was told: it joins anew, then. Two workers that have one name fence each other again and again, each
/// when it hears of it, which is at most a tenth of a session later: one of them has to end.
pub(crate) struct FencingHistory {
    session: Duration,
    lately: Vec<Instant>,
}

impl FencingHistory {
    pub(crate) fn within(session: Duration) -> Self {
        Self { session, lately: Vec::new() }
    }

    /// Counts one more, and says whether another must have the name.
    pub(crate) fn are_too_many(&mut self) -> bool {
        let now = Instant::now();
        self.lately.retain(|at| now.duration_since(*at) < self.session);
        self.lately.push(now);
        self.lately.len() > TAKEN_BACK
    }
}
