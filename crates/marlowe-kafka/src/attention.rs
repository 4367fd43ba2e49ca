//! The attention that a program pays to its membership of a group.

use std::sync::atomic::{AtomicBool, Ordering};

/// The attention that a program pays to a member: whether anyone waits for its news. A member whose
/// program does not ask for them any more is to be taken for dead.
#[derive(Default)]
pub(crate) struct Attention {
    waits: AtomicBool,
    asked: AtomicBool,
    lapsed: AtomicBool,
}

impl Attention {
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

/// A guard of an [`Attention`], which is paid until the guard is dropped.
pub(crate) struct AttentionGuard<'a>(&'a Attention);

impl<'a> AttentionGuard<'a> {
    pub(crate) fn begin(attention: &'a Attention) -> Self {
        attention.waits.store(true, Ordering::Relaxed);
        attention.asked.store(true, Ordering::Relaxed);
        Self(attention)
    }
}

impl Drop for AttentionGuard<'_> {
    fn drop(&mut self) {
        self.0.waits.store(false, Ordering::Relaxed);
    }
}
