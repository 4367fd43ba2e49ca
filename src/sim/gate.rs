//! The gate before the work of a process, which pauses the process.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::time::Sleep;

use super::disk::DiskUse;

/// The gate before a process's work. While it is shut, no code of the process runs, as with a
/// process that is stopped (SIGSTOP). Time goes on meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<GateState>);

#[derive(Debug, Default)]
struct GateState {
    is_shut: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.0.lock().is_shut = true;
    }

    pub(crate) fn open(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.is_shut = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.0.lock().is_shut
    }

    /// Returns true if the work may pass. If not, its task is woken when the gate opens.
    fn pass(&self, context: &Context<'_>) -> bool {
        let mut state = self.0.lock();
        if state.is_shut {
            state.waiting.push(context.waker().clone());
        }
        !state.is_shut
    }
}

/// A thread's work behind a gate. It also rests for as long as the disk makes it wait.
pub(crate) struct Behind<F> {
    gate: Arc<Gate>,
    used: Arc<DiskUse>,
    rest: Option<Pin<Box<Sleep>>>,
    work: Pin<Box<F>>,
}

impl<F: Future> Behind<F> {
    pub(crate) fn new(gate: Arc<Gate>, used: Arc<DiskUse>, work: F) -> Self {
        Self { gate, used, rest: None, work: Box::pin(work) }
    }
}

impl<F: Future> Future for Behind<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.gate.pass(context) {
            return Poll::Pending;
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        let ended = self.work.as_mut().poll(context);
        if let Some(time) = self.used.take_wait()
            && ended.is_pending()
        {
            let rest = self.rest.insert(Box::pin(tokio::time::sleep(time)));
            // The time is over at once only if it is zero. Then the work is polled again.
            if rest.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        ended
    }
}
