//! A whole cluster in one thread, under a seed: workers that crash, pause and come back, a network that loses what it
//! carries, a broker that goes away; hours in milliseconds, and the same each time.
//!
//! It is for tests of programs, Marlowe's own among them (feature `sim`). The workers are the real ones, with all their
//! parts; what is simulated is what lies around them: time, chance, threads, the network and the broker's place in it. The
//! broker is the embedded one, in memory.
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
//!     assert_eq!(view.get("key-3").await.unwrap(), Some((0..200).filter(|number| number % 10 == 3).sum()));
//! });
//! ```
//!
//! A run that panics says its seed, and the last of what happened ([`Trace`]). With the same seed it goes the same way
//! again.

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
