//! The matrix of ways to share a table, in simulation: programs and faults that follow from a seed, and a checker that knows
//! what must come of them.
#![forbid(unsafe_code)]

mod check;
mod program;
mod run;
mod shape;

pub use run::{Ran, run};
pub use shape::{FaultKind, Shape};
