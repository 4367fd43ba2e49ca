//! Counts of events by key.

use std::collections::HashMap;
use std::fmt;

use crate::event::Event;

/// The limit for page numbers. A page with a higher number is counted like any other key, because a
/// key that is not a page of a feed should not take memory for millions of pages.
const MOST_PAGES: u64 = 100_000_000;

/// The number of events of each key. A key without a row had no events.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// The counts of pages, by their number, because there may be millions of pages.
    pages: Vec<u64>,
    /// The counts of all other keys.
    others: HashMap<String, u64>,
}

/// A key that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// The page with this number.
    Page(u64),
    /// Any other key.
    Other(&'a str),
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        let digits = text.strip_prefix("page-").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| {
            // Each number has exactly one key.
            let is_short = digits.len() == 7 || (digits.len() > 7 && !digits.starts_with('0'));
            digits.parse().ok().filter(|number| is_short && *number < MOST_PAGES)
        });
        number.map_or(Key::Other(text), Key::Page)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Page(number) => f.write_str(&Event::page_key(*number)),
            Key::Other(text) => f.write_str(text),
        }
    }
}

impl Counts {
    /// Returns the count of a key.
    pub(crate) fn get(&self, key: Key<'_>) -> u64 {
        match key {
            Key::Page(number) => self.pages.get(number as usize).copied().unwrap_or_default(),
            Key::Other(text) => self.others.get(text).copied().unwrap_or_default(),
        }
    }

    /// Returns a mutable reference to the count of a key.
    pub(crate) fn get_mut(&mut self, key: Key<'_>) -> &mut u64 {
        match key {
            Key::Page(number) => {
                let place = number as usize;
                if place >= self.pages.len() {
                    self.pages.resize(place + 1, 0);
                }
                &mut self.pages[place]
            }
            Key::Other(text) => self.others.entry(text.to_owned()).or_default(),
        }
    }

    /// Returns all rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Key<'_>, u64)> {
        let pages = (0..).zip(&self.pages).map(|(number, count)| (Key::Page(number), *count));
        let others = self.others.iter().map(|(key, count)| (Key::Other(key), *count));
        pages.chain(others).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Key};
    use crate::event::Event;

    #[test]
    fn each_page_has_one_key() {
        for page in [0, 1234, 9_999_999, 10_000_000, 19_999_999] {
            let key = Event::page_key(page);
            assert_eq!(Key::from(key.as_str()), Key::Page(page));
            assert_eq!(Key::Page(page).to_string(), key);
        }
        for key in ["page-1", "page-00000001", "page-+000001", "page-", "page-999999999", "user-0001"] {
            assert_eq!(Key::from(key), Key::Other(key));
        }
    }

    #[test]
    fn a_key_without_events_has_no_row() {
        let mut counts = Counts::default();
        *counts.get_mut("page-0000002".into()) += 3;
        *counts.get_mut("user-0001".into()) += 1;
        *counts.get_mut("user-0002".into()) = 0;
        assert_eq!(counts.rows().collect::<Vec<_>>(), [(Key::Page(2), 3), (Key::Other("user-0001"), 1)]);
        assert_eq!((counts.get(Key::Page(1)), counts.get(Key::Page(7))), (0, 0));
    }
}
