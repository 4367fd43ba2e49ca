//! The error for a name that the program does not have, with a suggestion.

use std::sync::Arc;

/// The minimum similarity at which a known name is suggested for an unknown one (1 means equal).
const ALIKE: f64 = 0.75;

/// A name that the program does not have, and the names that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    what: &'static str,
    name: String,
    known: Vec<Arc<str>>,
}

impl Unknown {
    /// Creates the error: there is no `what` called `name`, only `known`.
    pub(crate) fn new(what: &'static str, name: &str, known: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { what, name: name.to_owned(), known: known.into_iter().collect() }
    }

    fn nearest(&self) -> Option<&Arc<str>> {
        let likeness = |known: &Arc<str>| strsim::jaro_winkler(&self.name, known);
        self.known
            .iter()
            .filter(|known| likeness(known) >= ALIKE)
            .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
    }
}

impl std::error::Error for Unknown {}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no {} `{}`", self.what, self.name)?;
        if let Some(nearest) = self.nearest() {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        if self.known.is_empty() {
            return write!(f, " (the program has no {}s)", self.what);
        }
        let known: Vec<String> = self.known.iter().map(|known| format!("`{known}`")).collect();
        write!(f, " (the program's {}s: {})", self.what, known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_gets_the_name_that_was_meant() {
        let known: [Arc<str>; 2] = ["carriers".into(), "airports".into()];
        let error = Unknown::new("table", "carrier", known.clone()).to_string();
        assert_eq!(
            error,
            "there is no table `carrier`; did you mean `carriers`? (the program's tables: `carriers`, `airports`)"
        );
        assert!(!Unknown::new("table", "xyz", known).to_string().contains("mean"));
    }
}
