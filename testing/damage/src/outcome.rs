//! The outcomes of running a program in a damaged folder.

use std::fmt;

/// The reaction of a program to a damaged folder.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It has all rows, and said nothing.
    NoEffect,
    /// It has all rows, and moved a damaged store aside.
    Healed,
    /// It refused to run, and said why.
    ClearError(String),
    WrongRows(String),
    /// It ended without an error message, or did not end.
    Crash(String),
}

impl Outcome {
    pub(crate) const NAMES: [&str; 5] = ["no effect", "healed", "clear error", "wrong rows", "crash"];

    pub(crate) fn name(&self) -> &'static str {
        Self::NAMES[match self {
            Self::NoEffect => 0,
            Self::Healed => 1,
            Self::ClearError(_) => 2,
            Self::WrongRows(_) => 3,
            Self::Crash(_) => 4,
        }]
    }

    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::WrongRows(_) | Self::Crash(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::ClearError(text) | Self::WrongRows(text) | Self::Crash(text) => write!(f, ": {}", text.trim()),
            Self::NoEffect | Self::Healed => Ok(()),
        }
    }
}
