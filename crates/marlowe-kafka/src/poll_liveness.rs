//! The attention that a program pays to its membership of a group.

use std::sync::atomic::{AtomicBool, Ordering};

/// The attention that a program pays to a member: whether anyone waits for its news. A member whose
/// program does not ask for them any more is to be taken for dead.
#[derive(Default)]
pub(crate) struct PollLiveness {
    waits: AtomicBool,
    asked: AtomicBool,
    lapsed: AtomicBool,
}

impl PollLiveness {
    /// Returns whether someone waits, or has since the last time.
    pub(crate) fn is_paid(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed) || self.waits.load(Ordering::Relaxed)
    }

    /// Says that nobody has waited for a while.
    pub(crate) fn lapse(&self) {
        self.lapsed.store(true, Ordering::Relaxed);
    }

    /// Returns whether it lapsed since the last time.
    pub(crate) fn take_lapsed(&self) -> bool {
        self.lapsed.swap(false, Ordering::Relaxed)
    }
}

/// A guard of an [`PollLiveness`], which is paid until the guard is dropped.
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
