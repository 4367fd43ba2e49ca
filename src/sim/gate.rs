use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// What stands before a process's work: while it is shut, nothing of it goes on, as with a process that is stopped
/// (SIGSTOP). Time passes meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
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

    /// Whether one may pass; if not, one is woken when it opens.
    fn pass(&self, context: &Context<'_>) -> bool {
        let mut state = self.0.lock();
        if state.is_shut {
            state.waiting.push(context.waker().clone());
        }
        !state.is_shut
    }
}

/// Work behind a gate.
pub(crate) struct Behind<F> {
    gate: std::sync::Arc<Gate>,
    work: Pin<Box<F>>,
}

impl<F: Future> Behind<F> {
    pub(crate) fn new(gate: std::sync::Arc<Gate>, work: F) -> Self {
        Self { gate, work: Box::pin(work) }
    }
}

impl<F: Future> Future for Behind<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.gate.pass(context) {
            true => self.work.as_mut().poll(context),
            false => Poll::Pending,
        }
    }
}
