//! Threads, each with a runtime of its own, and the only way to start a task on one. Each task is
//! watched, so that its panic ends the worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::failures::Failures;
use crate::error::RunError;
use crate::host::{Host, Join};

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A thread with a runtime of its own, for work that stays on the thread where it began.
///
/// In a simulation it is a task among others, on the one thread and runtime that exist there.
#[derive(Clone)]
pub(crate) struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
    spawner: Spawner,
}

/// The means to start tasks on a thread, used on that thread. A panic in a task is reported as a
/// failure of the worker or process.
#[derive(Clone)]
pub(crate) struct Spawner {
    thread: Arc<str>,
    failures: Failures,
    beat: Arc<Beat>,
}

/// A counter that shows other threads whether a thread is in the middle of something. It is odd
/// while a task runs. If the same odd number stays, nothing else goes on there.
#[derive(Default)]
pub(crate) struct Beat(AtomicU64);

impl Beat {
    /// Adds one. Only the thread itself writes the number.
    fn step(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Returns a number for what the thread is in the middle of, or `None` if it is idle.
    pub(crate) fn busy(&self) -> Option<u64> {
        let beat = self.0.load(Ordering::Relaxed);
        (beat % 2 == 1).then_some(beat)
    }
}

/// The means to start threads: the host that runs them, and the place where their panics are
/// reported.
#[derive(Clone)]
pub(crate) struct Threads {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) failures: Failures,
}

impl Threads {
    /// Starts a thread. It ends when its last handle is dropped, and drops the tasks that still run
    /// on it.
    pub(crate) fn start(&self, name: &str) -> Result<(Thread, Join), RunError> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let spawner = Spawner { thread: name.into(), failures: self.failures.clone(), beat: Arc::default() };
        let work = work(waiting, spawner.clone());
        let join = self
            .host
            .spawn_thread(name, Box::pin(work))
            .map_err(|error| RunError::System { doing: format!("start thread {name}"), reason: error.to_string() })?;
        Ok((Thread { jobs, spawner }, join))
    }
}

impl Thread {
    /// Runs a future on the thread. The receiver gets its result, or an error if the thread ended
    /// before or the future panicked.
    pub(crate) fn run<T, F>(&self, make: impl FnOnce() -> F + Send + 'static) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (result, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            Box::pin(async move {
                // The caller may not wait for the answer.
                let _ = result.send(make().await);
            })
        });
        // If the thread is gone, the receiver gets an error.
        let _ = self.jobs.send(job);
        receiver
    }

    /// Returns the counter that shows whether the thread is in the middle of something.
    pub(crate) fn beat(&self) -> Arc<Beat> {
        self.spawner.beat.clone()
    }

    /// Returns a spawner for code that runs on this thread.
    pub(crate) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Spawner {
    /// Runs `work` as a task of the thread on which this is called.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        tokio::task::spawn_local(WatchedTask { work: Some(Box::pin(work)), spawner: self.clone() })
    }

    /// Reports a panic of something that runs on the thread.
    pub(crate) fn tell(&self, panic: &(dyn std::any::Any + Send)) {
        self.failures.tell_panic(&self.thread, panic);
    }
}

/// A task whose panics are reported.
///
/// A panic drops what the task's code held before the panic is reported. So code that waits for
/// something of the task, and finds it gone, may stay silent: the report follows in a moment.
struct WatchedTask<F> {
    work: Option<Pin<Box<F>>>,
    spawner: Spawner,
}

impl<F> WatchedTask<F> {
    /// Drops the work. It also holds values of the user, which may panic when they are dropped.
    fn let_go(&mut self) {
        let work = self.work.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(work))) {
            self.spawner.tell(&*panic);
        }
    }
}

impl<F: Future<Output = ()>> Future for WatchedTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { work, spawner } = &mut *self;
        let Some(work) = work else { return Poll::Ready(()) };
        spawner.beat.step();
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        spawner.beat.step();
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(panic) => spawner.tell(&*panic),
        }
        self.let_go();
        Poll::Ready(())
    }
}

impl<F> Drop for WatchedTask<F> {
    fn drop(&mut self) {
        self.let_go();
    }
}

async fn work(mut waiting: mpsc::UnboundedReceiver<Job>, spawner: Spawner) {
    while let Some(job) = waiting.recv().await {
        spawner.spawn(async move { job().await });
    }
}
