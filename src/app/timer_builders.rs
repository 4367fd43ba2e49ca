//! The builders of everything that runs without an event: partition timers, timers, crontabs, tasks
//! and sources.

use std::sync::Arc;
use std::time::Duration;

use crate::HandlerError;
use crate::codec::TopicKey;
use crate::program::Program;
use crate::scope::{ShardWith, WorkerWith};
use crate::timer::{PartitionTimer, Schedule, Source, SourceWriter, WorkerTimer};
use crate::topic::Topic;
use crate::topology::{Place, TimerKind};

/// A builder of a timer that runs in every shard. Made by
/// [`App::partition_timer`](crate::App::partition_timer).
#[must_use = "a partition timer is declared by `.run(...)`"]
pub struct PartitionTimerBuilder<'a, W = ()> {
    program: &'a mut Program,
    name: Arc<str>,
    interval: Duration,
    with: W,
}

impl<'a> PartitionTimerBuilder<'a> {
    pub(crate) fn new(program: &'a mut Program, name: &str, interval: Duration) -> Self {
        Self { program, name: name.into(), interval, with: () }
    }

    /// Declares what the handler uses. It must include a table, because the timer runs in the
    /// shards of its tables.
    pub fn with<W: ShardWith>(self, with: W) -> PartitionTimerBuilder<'a, W> {
        PartitionTimerBuilder { program: self.program, name: self.name, interval: self.interval, with }
    }
}

impl<W: ShardWith> PartitionTimerBuilder<'_, W> {
    /// Declares the timer with its handler. Each run is a transaction, like an agent's event: it
    /// reads and writes only the slices of its shard, and its effects apply when it returns `Ok`.
    /// If it fails, nothing of it is left, the error is logged, and the timer fires again after its
    /// interval.
    pub fn run<F>(self, handler: F)
    where
        F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Self { program, name, interval, with } = self;
        program.partition_timers.push(Box::leak(Box::new(PartitionTimer { name, interval, with, handler })));
    }
}

/// A builder of a timer or crontab. Made by [`App::timer`](crate::App::timer) and
/// [`App::crontab`](crate::App::crontab).
///
/// ```
/// use std::time::Duration;
///
/// # let mut app = marlowe::App::new("shop");
/// let stock = app.table::<String, i64>("stock");
/// app.timer("count", Duration::from_secs(10)).on_leader().with(stock.view()).run(async |stock| {
///     println!("{} items", stock.len().await?);
///     Ok(())
/// });
/// ```
#[must_use = "a timer is declared by `.run(...)`"]
pub struct TimerBuilder<'a, W = ()> {
    program: &'a mut Program,
    name: Arc<str>,
    kind: TimerKind,
    schedule: Schedule,
    place: Place,
    with: W,
}

impl<'a> TimerBuilder<'a> {
    pub(crate) fn new(program: &'a mut Program, name: &str, kind: TimerKind, schedule: Schedule) -> Self {
        Self { program, name: name.into(), kind, schedule, place: Place::Worker, with: () }
    }
}

impl<'a, W: WorkerWith> TimerBuilder<'a, W> {
    /// Declares what the handler uses: views, global tables, inboxes, topics or agents.
    pub fn with<W2: WorkerWith>(self, with: W2) -> TimerBuilder<'a, W2> {
        TimerBuilder {
            program: self.program,
            name: self.name,
            kind: self.kind,
            schedule: self.schedule,
            place: self.place,
            with,
        }
    }

    /// Runs it on the leader only. The leader is one worker of the cluster. The default is every
    /// worker.
    pub fn on_leader(mut self) -> Self {
        self.place = Place::Leader;
        self
    }

    /// Declares the timer with its handler. Runs never overlap. If a run fails, the error is
    /// logged, and the timer fires again at its next time.
    pub fn run<F>(self, handler: F)
    where
        F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Self { program, name, kind, schedule, place, with } = self;
        let timer = WorkerTimer { name, kind, schedule, place, with, handler };
        program.worker_timers.push(Box::leak(Box::new(timer)));
    }
}

/// A builder of a task. Made by [`App::task`](crate::App::task).
#[must_use = "a task is declared by `.run(...)`"]
pub struct TaskBuilder<'a, W = ()> {
    timer: TimerBuilder<'a, W>,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) fn new(program: &'a mut Program, name: &str) -> Self {
        Self { timer: TimerBuilder::new(program, name, TimerKind::Task, Schedule::Once) }
    }
}

impl<'a, W: WorkerWith> TaskBuilder<'a, W> {
    /// Declares what the handler uses: views, global tables, inboxes, topics or agents.
    pub fn with<W2: WorkerWith>(self, with: W2) -> TaskBuilder<'a, W2> {
        TaskBuilder { timer: self.timer.with(with) }
    }

    /// Runs it on the leader only. The leader is one worker of the cluster. The default is every
    /// worker.
    ///
    /// A worker that becomes the leader later runs the task too, even if it was completed before.
    /// Work that must happen once belongs in a [`source`](crate::App::source), which remembers its
    /// position.
    pub fn on_leader(self) -> Self {
        Self { timer: self.timer.on_leader() }
    }

    /// Declares the task with its handler. It runs once, when the worker's shards are ready. An
    /// error stops the worker.
    pub fn run<F>(self, handler: F)
    where
        F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.timer.run(handler);
    }
}

/// A builder of a source. Made by [`App::source`](crate::App::source).
#[must_use = "a source is declared by `.run(...)`"]
pub struct SourceBuilder<'a, K: 'static, V: 'static> {
    program: &'a mut Program,
    name: Arc<str>,
    topic: Topic<K, V>,
}

impl<'a, K: TopicKey, V: 'static> SourceBuilder<'a, K, V> {
    pub(crate) fn new(program: &'a mut Program, name: &str, topic: Topic<K, V>) -> Self {
        Self { program, name: name.into(), topic }
    }

    /// Declares the source with its handler. The handler sends everything after
    /// [`SourceWriter::position`], and returns when there is no more. An error stops the worker.
    pub fn run<F>(self, handler: F)
    where
        F: AsyncFn(SourceWriter<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Self { program, name, topic } = self;
        program.worker_timers.push(Box::leak(Box::new(Source { name, topic, handler })));
    }
}
