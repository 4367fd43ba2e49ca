//! A simulated cluster in one thread, controlled by a seed. Workers crash, pause and come back, the
//! network loses messages, and the broker goes away. Hours pass in milliseconds, and a seed gives
//! the same run each time.
//!
//! It is for tests of programs, including Marlowe's own (feature `sim`). The workers are the real
//! ones, with all their parts. Their environment is simulated: time, chance, threads, disks, the
//! network, and the connection to the broker. The broker is the embedded one, in memory.
//!
//! ```
//! use std::time::Duration;
//! use marlowe::App;
//! use marlowe::sim::{Cluster, Faults};
//!
//! fn program() -> App {
//!     let mut app = App::new("sums");
//!     app.partitions(4);
//!     let numbers = app.topic::<String, u64>("numbers");
//!     let sums = app.table::<String, u64>("sums");
//!     app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
//!         sums.update(event.key, |sum| *sum += event.value);
//!         Ok(())
//!     });
//!     app
//! }
//!
//! // The handles are the same in each app that declares the same.
//! let mut app = App::new("sums");
//! let numbers = app.topic::<String, u64>("numbers");
//! let sums = app.table::<String, u64>("sums");
//!
//! Cluster::new(7, program).workers(3).run(async |sim| {
//!     let (numbers, view) = (sim.open(numbers), sim.open(sums.view()));
//!     let feed = async {
//!         for number in 0..200u64 {
//!             numbers.send(&format!("key-{}", number % 10), &number).await.unwrap();
//!             sim.elapse(Duration::from_millis(50)).await;
//!         }
//!     };
//!     let ((), ()) = tokio::join!(feed, sim.disturb(Faults::CRASHES, Duration::from_secs(10)));
//!     sim.settle().await;
//!     assert_eq!(
//!         view.get("key-3").await.unwrap(),
//!         Some((0..200).filter(|number| number % 10 == 3).sum())
//!     );
//! });
//! ```
//!
//! A run that panics prints its seed, and the last of what happened ([`Trace`]). With the same seed
//! it goes the same way again.
//!
//! # What is simulated
//!
//! ```text
//!  test ──► Simulation ──► Client ("outside") ──────────────┐
//!               │ start, crash, pause, ...                  ▼
//!               ▼                                     embedded broker
//!           Process: worker behind a Gate, with a Disk      ▲
//!               │                                           │
//!               └──► Link ──► SimulatedNetwork ─────────────┘
//!                                └──► requests to other workers
//! ```
//!
//! 1. [`Cluster`] declares the program, the number of workers and the seed. [`Cluster::run`] starts
//!    them on a paused clock of tokio, so time passes only when every task waits for it.
//! 2. The test uses the [`Simulation`]: it opens handles, lets time pass, and causes faults one by
//!    one, or at random with [`disturb`](Simulation::disturb).
//! 3. [`settle`](Simulation::settle) ends all faults and waits until everything is processed. Then
//!    the test checks the results.

// Start reading with `cluster.rs` and `simulation.rs`. Each kind of fault is in a file of its own:
// `network.rs` and `link.rs`, `disk.rs`, `gate.rs` (pauses) and `clock.rs`.

mod chance;
mod clock;
mod cluster;
mod committed;
mod disk;
mod disturbance;
mod faults;
mod gate;
mod link;
mod network;
mod request;
mod run;
mod simulation;
mod trace;

pub use chance::Chance;
pub use cluster::Cluster;
pub use committed::Committed;
pub use faults::Faults;
pub use request::NoAnswer;
pub use simulation::Simulation;
pub use trace::Trace;
