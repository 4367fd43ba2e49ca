//! The count of open connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counted connection. Dropping it ends the count.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    pub(crate) fn of(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
