//! The matrix of ways to share a table, run in simulation. Programs and faults follow from a seed,
//! and a checker knows what the results must be.
#![forbid(unsafe_code)]

mod calls;
mod check;
mod declared;
mod draw;
mod first_agent;
mod input;
mod notes;
mod once;
mod picky;
mod program;
mod request;
mod rows;
mod run;
mod seen;
mod shape;
mod tries;
mod truth;
mod writer;

pub use draw::Drawn;
pub use run::{Ran, run, run_silently};
pub use shape::{FaultKind, Reading, Shape};
