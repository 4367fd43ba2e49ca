use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use crate::ledger::Ledger;
use crate::request::Submission;

/// The thread that writes to a folder. What arrives while it waits for the disk is written together afterwards.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Submission>,
    /// Something is being written.
    busy: bool,
    /// No more will come: end when all is written.
    closing: bool,
    /// The thread has ended.
    ended: bool,
}

impl Writer {
    pub(crate) fn start(ledger: Arc<Ledger>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let theirs = queue.clone();
        let thread =
            std::thread::Builder::new().name("marlowe-writer".to_owned()).spawn(move || theirs.serve(&ledger))?;
        Ok(Self { queue, thread: Some(thread) })
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
                while state.waiting.is_empty() && !state.closing {
                    self.news.wait(&mut state);
                }
                if state.waiting.is_empty() {
                    return;
                }
                state.busy = true;
                std::mem::take(&mut state.waiting)
            };
            ledger.carry_out(submissions);
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
        drop(state);
        self.1.groups.wake_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.state.lock().closing = true;
        self.queue.news.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was told to those it concerned.
            let _ = thread.join();
        }
    }
}
