//! Time and chance, which are inputs of a program.
//!
//! A [`Config`](crate::Config) has a [`Clock`] and an [`Entropy`]. The library reads them, and so
//! can a handler: it declares [`App::clock`](crate::App::clock) with `.with(...)`, and gets a
//! [`RuntimeClock`].
//!
//! # Why not the system's clock
//! A handler that asks the system for the time, or draws its own random numbers, depends on things
//! that no test can set. In the simulation (feature `sim`) time is virtual: hours pass in
//! milliseconds, and a seed gives the same run each time. The system's clock knows nothing of that.
//!
//! The time of an [`Event`](crate::Event) is another matter. It is part of the input, and stands in
//! the timestamp of its record.

use std::fmt;
use std::sync::Arc;

use marlowe_broker::Timestamp;
pub use marlowe_broker::{Clock, Entropy, SeededEntropy};

use crate::scope::{ClientWith, ShardScope, ShardWith, Uses, WorkerScope, WorkerWith};

/// The handle of the runtime's clock, from [`App::clock`](crate::App::clock). Agents, timers,
/// tasks, sources and web handlers declare it with `.with(...)` and get a [`RuntimeClock`].
///
/// ```
/// # use marlowe::App;
/// let mut app = App::new("orders");
/// let orders = app.topic::<String, u64>("orders");
/// let handled = app.table::<String, i64>("handled");
/// let clock = app.clock();
/// app.agent("note", orders).with((handled, clock)).each_event(async |(handled, clock), order| {
///     handled.insert(order.key, clock.now().millis());
///     Ok(())
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AppClock(());

/// The time and the random numbers of the runtime, in a handler.
///
/// If an event is handled again, as after a crash, both have other values than the first time. What
/// the first time left behind is gone then, so no result mixes the two.
#[derive(Clone)]
pub struct RuntimeClock {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl AppClock {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl RuntimeClock {
    fn of(worker: &WorkerScope) -> Self {
        Self { clock: worker.clock.clone(), entropy: worker.entropy.clone() }
    }

    /// Returns the current time of the runtime: that of [`Config::clock`](crate::Config::clock).
    /// In the simulation this is the virtual time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns a random number of the runtime: the next one of
    /// [`Config::entropy`](crate::Config::entropy). In the simulation it follows from the seed.
    pub fn random(&self) -> u64 {
        self.entropy.next()
    }
}

impl fmt::Debug for RuntimeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl ShardWith for AppClock {
    type Opened = RuntimeClock;

    fn declare(&self, _: &mut Uses) {}

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> RuntimeClock {
        RuntimeClock::of(&shard.worker)
    }
}

impl WorkerWith for AppClock {
    type Opened = RuntimeClock;

    fn declare(&self, _: &mut Uses) {}

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> RuntimeClock {
        RuntimeClock::of(worker)
    }
}

impl ClientWith for AppClock {}
