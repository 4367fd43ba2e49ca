//! The assignment of a shard's agents and timers to strands, by the tables that they use.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the number of the strand of each agent and timer. `tables` has the tables that each of
/// them uses. Those that share a table are in the same strand, also if they share it only through
/// others. Strands are numbered in the order of their first members.
pub(super) fn strands(tables: &[&[Arc<str>]]) -> Vec<usize> {
    let mut strand: Vec<usize> = (0..tables.len()).collect();
    let mut first_user: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for (who, tables) in tables.iter().enumerate() {
        for table in *tables {
            let other = strand[*first_user.entry(table).or_insert(who)];
            let own = strand[who];
            strand.iter_mut().filter(|strand| **strand == own).for_each(|strand| *strand = other);
        }
    }
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let number = |strand: &usize| {
        let next = numbers.len();
        *numbers.entry(*strand).or_insert(next)
    };
    strand.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uses: &[&[&str]]) -> Vec<usize> {
        let tables: Vec<Vec<Arc<str>>> =
            uses.iter().map(|tables| tables.iter().map(|table| (*table).into()).collect()).collect();
        strands(&tables.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn n3_3_users_of_one_table_are_in_one_strand() {
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[&[], &[]]), [0, 1], "an agent without tables is one of its own");
        assert_eq!(of(&[&["a"], &["b"], &["a"]]), [0, 1, 0]);
        assert_eq!(of(&[&["a"], &["b"], &["c"], &["c", "b"], &["b", "a"], &["d"]]), [0, 0, 0, 0, 0, 1]);
    }
}
