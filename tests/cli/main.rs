//! The command line, as people meet it: an example program in processes of its own.

mod listings;
mod program;
mod reset;
mod send;
mod worker;
