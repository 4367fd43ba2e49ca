//! The thread that writes to a folder, and the one that warns when the disk does not answer it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::ledger::Ledger;
use crate::request::Submission;

/// How long a write may take before a warning tells of it. It is told again after twice as long, and so on.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// How often the thread that warns looks while something is written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes to a folder. What arrives while it waits for the disk is written together afterwards.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    news: Condvar,
    /// Wakes the thread that warns.
    begun: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Submission>,
    /// Something is being written.
    busy: bool,
    /// How many writes have begun.
    writes: u64,
    /// The thread that warns waits for a write to begin.
    watcher_waits: bool,
    /// It has warned of the write under way.
    has_warned: bool,
    /// No more will come: end when all is written.
    closing: bool,
    /// The thread has ended.
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

    /// Puts a request in the queue. When the thread has ended the request is dropped, and who asked learns that.
    pub(crate) fn submit(&self, submission: Submission) {
        let mut state = self.queue.state.lock();
        if !state.ended {
            state.waiting.push(submission);
            self.queue.news.notify_one();
        }
    }

    /// Whether the thread has ended before its time, by a panic: nothing is written any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.state.lock().ended
    }

    /// Whether all that was submitted is done, and what is submitted will be.
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
                    tracing::warn!("the disk answers again: {} is written to", ledger.storage.location());
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

    /// Warns of writes that take long, until the writer ends. It sleeps while nothing is written, and otherwise looks every
    /// [`LOOK_EVERY`].
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
                        "the disk does not answer: writing to {folder} has taken {taken:?}; commits and sends wait for it"
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

/// However the thread ends, nobody is left waiting for it, and the members of groups learn it.
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
            // A panic there was told to those it concerned.
            let _ = thread.join();
        }
    }
}
