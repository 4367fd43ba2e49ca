//! Threads, each with a runtime of its own, and the one way to run something beside others: watched, so that a panic ends the
//! worker.

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

/// A thread with a runtime of its own, for work that stays where it was begun.
///
/// In a simulation it is a task among others, on the one thread and runtime there.
#[derive(Clone)]
pub(crate) struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
    spawner: Spawner,
}

/// Runs tasks on the thread it is used on. A panic in one is told as a failure of the worker or process.
#[derive(Clone)]
pub(crate) struct Spawner {
    thread: Arc<str>,
    failures: Failures,
    beat: Arc<Beat>,
}

/// Whether a thread is in the middle of something, for other threads. A number that is odd in between; so that one that does
/// not change says that nothing else goes on there.
#[derive(Default)]
pub(crate) struct Beat(AtomicU64);

impl Beat {
    /// Adds one; the thread alone writes it.
    fn step(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// What the thread is in the middle of, as a number.
    pub(crate) fn busy(&self) -> Option<u64> {
        let beat = self.0.load(Ordering::Relaxed);
        (beat % 2 == 1).then_some(beat)
    }
}

/// Starts threads: on the process's host, and where it is told when something on them panics.
#[derive(Clone)]
pub(crate) struct Threads {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) failures: Failures,
}

impl Threads {
    /// Starts a thread; it ends when its last handle is gone, dropping what still runs there.
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
    /// Runs a future there. The receiver gets its result, or an error when the thread ended before, or the future panicked.
    pub(crate) fn run<T, F>(&self, make: impl FnOnce() -> F + Send + 'static) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (result, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            Box::pin(async move {
                // Who asked may not wait for the answer.
                let _ = result.send(make().await);
            })
        });
        // A thread that is gone answers by the receiver's error.
        let _ = self.jobs.send(job);
        receiver
    }

    /// Whether it is in the middle of something.
    pub(crate) fn beat(&self) -> Arc<Beat> {
        self.spawner.beat.clone()
    }

    /// Runs tasks beside the jobs of this thread, for those who are on it.
    pub(crate) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Spawner {
    /// Runs `work` beside the others of the thread that this is called on.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        tokio::task::spawn_local(Watched { work: Some(Box::pin(work)), spawner: self.clone() })
    }

    /// Tells a panic of what runs on the thread.
    pub(crate) fn tell(&self, panic: &(dyn std::any::Any + Send)) {
        self.failures.tell_panic(&self.thread, panic);
    }
}

/// A task whose panics are told. What its code held is dropped before that, so who waits for something of it and finds that
/// gone may say nothing: the panic is told in a moment.
struct Watched<F> {
    work: Option<Pin<Box<F>>>,
    spawner: Spawner,
}

impl<F> Watched<F> {
    /// Drops the work. What it holds is the user's, too, and may panic on its way.
    fn let_go(&mut self) {
        let work = self.work.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(work))) {
            self.spawner.tell(&*panic);
        }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
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

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        self.let_go();
    }
}

async fn work(mut waiting: mpsc::UnboundedReceiver<Job>, spawner: Spawner) {
    while let Some(job) = waiting.recv().await {
        spawner.spawn(async move { job().await });
    }
}
