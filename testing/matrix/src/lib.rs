//! The matrix of ways to share a table, run in simulation. Programs and faults follow from a seed,
//! and a checker knows what the results must be.
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
