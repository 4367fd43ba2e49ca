//! The rule for a store that is opened with another layout: which tables and positions it keeps.

use crate::StoreLayout;

/// The parts of an old layout that a new layout takes over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Migration {
    /// Tables in both layouts are kept. New position *i* is old position `positions[i]`, or zero if
    /// that is `None`.
    Keep { positions: Vec<Option<u32>> },
    /// Everything is rebuilt, because nothing tells which position belongs to which table.
    Rebuild,
}

impl Migration {
    pub(super) fn between(old: &StoreLayout, new: &StoreLayout) -> Self {
        if old.tables == new.tables && old.slots <= new.slots {
            let positions = (0..new.slots).map(|slot| Some(slot).filter(|slot| *slot < old.slots)).collect();
            return Self::Keep { positions };
        }
        let one_each = |layout: &StoreLayout| layout.slots as usize == layout.tables.len();
        if one_each(old) && one_each(new) {
            let place = |table: &String| old.tables.iter().position(|old| old == table).map(|place| place as u32);
            return Self::Keep { positions: new.tables.iter().map(place).collect() };
        }
        Self::Rebuild
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(tables: &str, slots: u32) -> StoreLayout {
        StoreLayout { tables: tables.split_whitespace().map(str::to_owned).collect(), slots }
    }

    fn keep(positions: &[Option<u32>]) -> Migration {
        Migration::Keep { positions: positions.to_vec() }
    }

    #[test]
    fn with_a_position_per_table_it_follows_the_table() {
        let old = layout("a b c", 3);
        assert_eq!(Migration::between(&old, &layout("a x c b", 4)), keep(&[Some(0), None, Some(2), Some(1)]));
        assert_eq!(Migration::between(&old, &layout("c", 1)), keep(&[Some(2)]));
    }

    #[test]
    fn more_positions_for_the_same_tables_start_at_zero() {
        assert_eq!(Migration::between(&layout("a", 2), &layout("a", 3)), keep(&[Some(0), Some(1), None]));
    }

    #[test]
    fn what_cannot_be_told_apart_is_rebuilt() {
        assert_eq!(Migration::between(&layout("a b", 4), &layout("a", 2)), Migration::Rebuild);
        assert_eq!(Migration::between(&layout("a", 3), &layout("a", 2)), Migration::Rebuild);
    }
}
