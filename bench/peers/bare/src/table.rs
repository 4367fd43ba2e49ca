//! The table of the bare loop: counts in a `HashMap`, and the keys that changed.

use std::collections::HashMap;

/// The rows of one partition.
#[derive(Default)]
pub(crate) struct Table {
    rows: HashMap<String, Row>,
    /// The keys whose rows changed since the last commit, each once.
    changed: Vec<String>,
}

#[derive(Default)]
struct Row {
    count: u64,
    changed: bool,
}

impl Table {
    /// Adds one to the count of `key`.
    pub(crate) fn count(&mut self, key: &str) {
        if let Some(row) = self.rows.get_mut(key) {
            row.count += 1;
            if !row.changed {
                row.changed = true;
                self.changed.push(key.to_owned());
            }
        } else {
            self.rows.insert(key.to_owned(), Row { count: 1, changed: true });
            self.changed.push(key.to_owned());
        }
    }

    /// Sets a row to the count in its changelog.
    pub(crate) fn restore(&mut self, key: String, count: u64) {
        self.rows.insert(key, Row { count, changed: false });
    }

    /// Returns the sum of all rows.
    pub(crate) fn sum(&self) -> u64 {
        self.rows.values().map(|row| row.count).sum()
    }

    /// Passes each row that changed since the last call to `each`.
    pub(crate) fn take_changed(&mut self, mut each: impl FnMut(&str, u64)) {
        for key in self.changed.drain(..) {
            if let Some(row) = self.rows.get_mut(&key) {
                row.changed = false;
                each(&key, row.count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_row_that_changed_is_taken_once() {
        let mut table = Table::default();
        table.restore("a".into(), 5);
        table.count("a");
        table.count("a");
        table.count("b");
        let mut taken = Vec::new();
        table.take_changed(|key, count| taken.push((key.to_owned(), count)));
        assert_eq!(taken, [("a".to_owned(), 7), ("b".to_owned(), 1)]);
        table.take_changed(|_, _| panic!("nothing changed since"));
        assert_eq!(table.sum(), 8);
    }
}
