//! The matrix of ways to share a table, in simulation: programs and faults that follow from a seed, and a checker that knows
//! what must come of them.
#![forbid(unsafe_code)]

mod calls;
mod check;
mod draw;
mod notes;
mod program;
mod run;
mod shape;
mod writer;

pub use draw::Drawn;
pub use run::{Ran, run, run_silently};
pub use shape::{FaultKind, Reading, Shape};
