//! Threads, the tasks on them, and the way in which a failure on one of them ends a worker.
//!
//! A worker is made of parts that each have a thread: its control, its lanes, its restores, its
//! timers and so on (ARCHITECTURE.md lists them). Each thread has a current-thread tokio runtime
//! with a `LocalSet`. So what runs on it stays on it and need not be `Send`. Threads talk by
//! channels.
//!
//! ```text
//!   Threads::start --> Thread --run(job)--> the job on the thread
//!                                             |
//!                                             | Spawner::spawn
//!                                             v
//!                                           more tasks on the thread
//!                                             |
//!                                             | a panic
//!                                             v
//!   worker stops, process is told <-------- Failures
//! ```
//!
//! # In which order things happen
//!
//! 1. [`Threads::start`] starts a thread and returns a [`Thread`]. The thread ends when the last
//!    handle to it is dropped.
//! 2. [`Thread::run`] sends it a job. On the thread, a [`Spawner`] starts further tasks beside the
//!    jobs.
//! 3. Each job and task is watched. If it panics, [`Failures`] reports that to the process and
//!    stops the worker. Tasks are started in no other way, so that no panic goes unnoticed. A test
//!    reads the sources for this.
//!
//! In a simulation, a thread is a task among others. Nothing else changes.
//!
//! # Where to start reading
//!
//! Start with `thread`. `failures` is the path of an error from a part of a worker to its end.

mod failures;
mod thread;

pub(crate) use failures::Failures;
pub(crate) use thread::{Beat, Spawner, Thread, Threads};
