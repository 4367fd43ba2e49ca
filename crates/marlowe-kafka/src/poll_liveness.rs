//! The poll liveness of a membership: whether its program still asks for news.

use std::sync::atomic::{AtomicBool, Ordering};

/// The poll liveness of a member: whether anyone waits for its news. A member whose program no
/// longer asks for news is to be expelled.
#[derive(Default)]
pub(crate) struct PollLiveness {
    waits: AtomicBool,
    asked: AtomicBool,
    lapsed: AtomicBool,
}

impl PollLiveness {
    /// Returns whether someone waits, or has waited since the last call.
    pub(crate) fn is_paid(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed) || self.waits.load(Ordering::Relaxed)
    }

    /// Notes that nobody has waited for a while.
    pub(crate) fn lapse(&self) {
        self.lapsed.store(true, Ordering::Relaxed);
    }

    /// Returns whether it has lapsed since the last call.
    pub(crate) fn take_lapsed(&self) -> bool {
        self.lapsed.swap(false, Ordering::Relaxed)
    }
}

/// A guard of a [`PollLiveness`]. Until it is dropped, someone waits.
pub(crate) struct PollLivenessGuard<'a>(&'a PollLiveness);

impl<'a> PollLivenessGuard<'a> {
    pub(crate) fn begin(poll_liveness: &'a PollLiveness) -> Self {
        poll_liveness.waits.store(true, Ordering::Relaxed);
        poll_liveness.asked.store(true, Ordering::Relaxed);
        Self(poll_liveness)
    }
}

impl Drop for PollLivenessGuard<'_> {
    fn drop(&mut self) {
        self.0.waits.store(false, Ordering::Relaxed);
    }
}
