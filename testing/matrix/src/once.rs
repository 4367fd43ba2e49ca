//! The comparison of what is there with what must be there, once or at least once.

use std::collections::BTreeSet;

use crate::rows::List;

/// The rule for repetitions: `true` if each entry must be there once, `false` if at least once.
pub(crate) struct Once(pub(crate) bool);

impl Once {
    /// Checks that nothing is lost, that everything is in order, and that nothing is repeated
    /// unless it may be.
    pub(crate) fn in_order(&self, what: &str, found: &[String], wanted: &[String]) {
        if self.0 {
            assert_eq!(found, wanted, "{what}");
            return;
        }
        let mut known = BTreeSet::new();
        let first: Vec<&String> = found.iter().filter(|entry| known.insert(*entry)).collect();
        assert_eq!(first, wanted.iter().collect::<Vec<_>>(), "{what}, each for the first time, of {found:?}");
    }

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
