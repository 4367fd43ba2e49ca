//! The thread that writes to a folder, and the thread that warns when the disk does not answer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::ledger::Ledger;
use crate::request::Submission;

/// How long a write may take before a warning says so. The next warning comes after twice that
/// time, and so on.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// How often the warning thread looks while something is being written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes to a folder. Requests that arrive while it waits for the disk are written
/// together afterwards.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    news: Condvar,
    /// Wakes the warning thread.
    begun: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Submission>,
    /// True while something is being written.
    busy: bool,
    /// The number of writes that have begun.
    writes: u64,
    /// True while the warning thread waits for a write to begin.
    watcher_waits: bool,
    /// True after the warning thread has warned of the current write.
    has_warned: bool,
    /// True when no more requests will come. The writing thread then ends after it has written all.
    closing: bool,
    /// True after the writing thread has ended.
    ended: bool,
}

impl Writer {
    pub(crate) fn start(ledger: Arc<Ledger>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let folder = ledger.storage.location();
        let (writes, watches) = (queue.clone(), queue.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let mut writer = Self { queue, threads: Vec::new() };
        writer.threads.push(thread("marlowe-writer").spawn(move || writes.serve(&ledger))?);
        writer.threads.push(thread("marlowe-disk").spawn(move || watches.watch(&folder))?);
        Ok(writer)
    }

    /// Adds a request to the queue. If the writing thread has ended, the request is dropped, which
    /// its caller notices.
    pub(crate) fn submit(&self, submission: Submission) {
        let mut state = self.queue.state.lock();
        if !state.ended {
            state.waiting.push(submission);
            self.queue.news.notify_one();
        }
    }

    /// Returns whether the writing thread has panicked. Nothing is written any more then.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.state.lock().ended
    }

    /// Returns whether all requests are done, and new ones would be carried out.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.queue.state.lock();
        state.waiting.is_empty() && !state.busy && !state.ended
    }
}

impl Queue {
    fn serve(&self, ledger: &Ledger) {
        let _ended = Ended(self, ledger);
        loop {
            let submissions = {
                let mut state = self.state.lock();
                state.busy = false;
                if std::mem::take(&mut state.has_warned) {
                    tracing::warn!("the disk answers again: {} can be written to", ledger.storage.location());
                }
                while state.waiting.is_empty() && !state.closing {
                    self.news.wait(&mut state);
                }
                if state.waiting.is_empty() {
                    return;
                }
                state.busy = true;
                state.writes += 1;
                if std::mem::take(&mut state.watcher_waits) {
                    self.begun.notify_one();
                }
                std::mem::take(&mut state.waiting)
            };
            ledger.carry_out(submissions);
        }
    }

    /// Warns of writes that take long, until the writing thread ends. It sleeps while nothing is
    /// being written, and otherwise looks every [`LOOK_EVERY`].
    fn watch(&self, folder: &str) {
        let mut state = self.state.lock();
        let (mut seen, mut taken, mut warn_at) = (0, Duration::ZERO, WARN_AFTER);
        while !state.ended {
            if state.writes == seen && state.busy {
                taken += LOOK_EVERY;
                if taken >= warn_at {
                    warn_at *= 2;
                    state.has_warned = true;
                    tracing::warn!(
                        "the disk does not answer: writing to {folder} has taken {taken:?}; commits and sends wait \
                         for it; check the disk"
                    );
                }
            } else {
                (seen, taken, warn_at) = (state.writes, Duration::ZERO, WARN_AFTER);
            }
            if state.busy {
                self.begun.wait_for(&mut state, LOOK_EVERY);
            } else {
                state.watcher_waits = true;
                self.begun.wait(&mut state);
            }
        }
    }
}

/// A guard that is dropped when the writing thread ends, also by a panic. Nobody is left waiting
/// for the thread, and the members of groups learn that it has ended.
struct Ended<'a>(&'a Queue, &'a Ledger);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        state.busy = false;
        state.waiting.clear();
        self.0.begun.notify_one();
        drop(state);
        self.1.groups.wake_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.state.lock().closing = true;
        self.queue.news.notify_one();
        for thread in self.threads.drain(..) {
            // A panic has already failed the requests that it concerned.
            let _ = thread.join();
        }
    }
}
