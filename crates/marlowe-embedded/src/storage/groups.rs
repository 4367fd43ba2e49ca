//! The numbers that stand for groups in a folder's keys.

use std::collections::HashMap;
use std::sync::Arc;

/// The numbers of groups. They are needed because a group's name may be longer than a key can be.
#[derive(Default)]
pub(super) struct GroupNumbers {
    pub(super) numbers: HashMap<Arc<str>, u32>,
    pub(super) next: u32,
    /// The groups that got their numbers in the transaction that is being written.
    pub(super) new: Vec<Arc<str>>,
}

impl GroupNumbers {
    pub(super) fn find(&self, group: &str) -> Option<u32> {
        self.numbers.get(group).copied()
    }

    pub(super) fn add(&mut self, group: &Arc<str>) -> u32 {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(group.clone(), number);
        self.new.push(group.clone());
        number
    }

    pub(super) fn keep_new(&mut self) {
        self.new.clear();
    }

    pub(super) fn forget_new(&mut self) {
        for group in self.new.drain(..) {
            self.numbers.remove(&group);
        }
    }
}
