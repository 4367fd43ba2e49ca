//! The comparison of what is there with what must be there, once or at least once.

use crate::rows::List;

/// The rule for repetitions: `true` if each entry must be there once, `false` if at least once.
pub(crate) struct Once(pub(crate) bool);

impl Once {
    /// Checks that nothing is lost, and that nothing is repeated unless it may be.
    pub(crate) fn in_any_order(&self, what: &str, mut found: List, mut wanted: List) {
        found.sort();
        wanted.sort();
        if !self.0 {
            found.dedup();
        }
        assert_eq!(found, wanted, "{what}");
    }
}
