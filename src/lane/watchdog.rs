//! The watchdog: warns about handlers that do not end and threads that are blocked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::Label;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::metrics::{HANDLER_SECONDS, Metrics};
use crate::shard::{HeldBy, ShardId, ShardInHand, StrandInHand};
use crate::threads::Beat;
use crate::timer::TimerRuns;
use crate::turn::Runnable;

/// The longest time between two looks.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The name of the timers' thread within the worker.
pub(crate) const TIMERS: &str = "timers";

/// The limits on how long something may be in hand in a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time after which the watchdog warns about it.
    pub(crate) stuck_after: Duration,
    /// The time after which the worker is not ready any more.
    pub(crate) unready_after: Option<Duration>,
}

/// The task that watches what a worker has in hand. A handler that never returns, and a thread that
/// is blocked, cannot report that themselves, so it looks from another thread. It reads numbers
/// that the lanes leave behind, which costs the lanes nothing.
///
/// Vert.x has a blocked thread checker of this kind.
pub(crate) struct Watchdog {
    patience: Patience,
    metrics: Metrics,
    pub(crate) timers: Arc<TimerRuns>,
    watched: Mutex<WatchList>,
    /// A description of what keeps the worker from being ready.
    stuck: Mutex<Option<String>>,
}

#[derive(Default)]
struct WatchList {
    threads: BTreeMap<Arc<str>, Arc<Beat>>,
    shards: BTreeMap<ShardId, (Arc<str>, ShardInHand)>,
}

/// A place where something is in hand.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum HeldPlace {
    /// A shard, its strand by number, and the agent or timer in it.
    Handler(ShardId, usize, Runnable),
    Timer(Arc<str>),
    /// A thread that is in the middle of something.
    Thread(Arc<str>),
}

/// Something that is in hand now.
struct HeldWork<'a> {
    place: HeldPlace,
    thread: Arc<str>,
    /// Unchanged as long as the same thing is in hand.
    state: (u64, u64),
    strand: Option<&'a StrandInHand>,
}

/// Something that was in hand at the last look.
#[derive(Clone, Copy)]
struct Seen {
    state: (u64, u64),
    since: Instant,
    /// How long it must be in hand before the next warning.
    warn_after: Duration,
}

impl Watchdog {
    pub(crate) fn new(patience: Patience, metrics: Metrics) -> Arc<Self> {
        let (timers, watched, stuck) = (Arc::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { patience, metrics, timers, watched, stuck })
    }

    /// Watches a thread. `name` is its name within the worker.
    pub(crate) fn watch(&self, name: &str, beat: Arc<Beat>) {
        self.watched.lock().threads.insert(name.into(), beat);
    }

    /// Watches a shard that runs on `thread`.
    pub(crate) fn open(&self, thread: Arc<str>, shard: ShardInHand) {
        self.watched.lock().shards.insert(shard.id, (thread, shard));
    }

    /// Stops watching a shard on `thread`. It may already be open on another thread.
    pub(crate) fn close(&self, thread: &Arc<str>, id: ShardId) {
        let mut watched = self.watched.lock();
        if watched.shards.get(&id).is_some_and(|(on, _)| on == thread) {
            watched.shards.remove(&id);
        }
    }

    /// Returns a description of what has been in hand for too long for the worker to be ready.
    pub(crate) fn stuck(&self) -> Option<String> {
        self.stuck.lock().clone()
    }

    /// Looks at regular intervals, forever.
    pub(crate) async fn run(self: Arc<Self>) {
        let every = (self.patience.stuck_after / 10).clamp(Duration::from_millis(10), LOOK_AT_MOST_EVERY);
        let mut seen = BTreeMap::new();
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(every).await;
            let now = Instant::now();
            if now - last > every * 3 + LOOK_AT_MOST_EVERY {
                // The process itself stood still, and with it everything in hand.
                seen.clear();
            }
            last = now;
            seen = self.look(&seen, now, every);
        }
    }

    fn look(&self, before: &BTreeMap<HeldPlace, Seen>, now: Instant, every: Duration) -> BTreeMap<HeldPlace, Seen> {
        let (threads, shards) = {
            let watched = self.watched.lock();
            (watched.threads.clone(), watched.shards.clone())
        };
        let busy = threads.iter().filter_map(|(name, beat)| Some((name, beat.busy()?)));
        let busy = busy.map(|(name, beat)| HeldWork::of(HeldPlace::Thread(name.clone()), name.clone(), (beat, 0)));
        let runs = self.timers.in_flight().into_iter();
        let runs = runs.map(|(name, run)| HeldWork::of(HeldPlace::Timer(name), TIMERS.into(), (run, 0)));
        let handlers = shards.iter().flat_map(|(id, (thread, shard))| shard.held_work(*id, thread));
        let found = busy.chain(runs).chain(handlers).map(|found| {
            let known = before.get(&found.place).filter(|known| known.state == found.state).copied();
            let new = Seen { state: found.state, since: now, warn_after: self.patience.stuck_after };
            (found, known.unwrap_or(new))
        });
        let found: Vec<(HeldWork<'_>, Seen)> = found.collect();
        // How long each thread has been busy, and how long something has been in hand on it.
        let (mut busy_for, mut in_hand_for) = (BTreeMap::new(), BTreeMap::new());
        for (found, seen) in &found {
            let times = if let HeldPlace::Thread(_) = found.place { &mut busy_for } else { &mut in_hand_for };
            let longest: &mut Duration = times.entry(found.thread.clone()).or_default();
            *longest = (*longest).max(now - seen.since);
        }
        let as_long = |times: &BTreeMap<Arc<str>, Duration>, thread: &Arc<str>, time: Duration| {
            times.get(thread).is_some_and(|other| *other + every * 2 >= time)
        };

        let mut stuck: Option<(Duration, String)> = None;
        let mut seen = BTreeMap::new();
        for (found, mut this) in found {
            let time = now - this.since;
            let is_thread = matches!(found.place, HeldPlace::Thread(_));
            // The report about what is in hand already names its thread.
            let is_told = is_thread && as_long(&in_hand_for, &found.thread, time);
            let blocks = is_thread || as_long(&busy_for, &found.thread, time);
            if time >= this.warn_after && !is_told {
                this.warn_after = time * 2;
                tracing::warn!("{}", found.tell(time, blocks));
            }
            if self.patience.unready_after.is_some_and(|after| time >= after)
                && !is_told
                && stuck.as_ref().is_none_or(|(longest, _)| *longest < time)
            {
                stuck = Some((time, found.tell(time, blocks)));
            }
            seen.insert(found.place, this);
        }
        *self.stuck.lock() = stuck.map(|(_, what)| what);
        for thread in threads.keys() {
            let times = [busy_for.get(thread), in_hand_for.get(thread)];
            let longest = times.into_iter().flatten().max().copied().unwrap_or_default();
            let labels = vec![Label::new("thread", thread.to_string())];
            self.metrics.gauge(HANDLER_SECONDS, labels).set(longest.as_secs_f64());
        }
        seen
    }
}

impl ShardInHand {
    fn held_work<'a>(&'a self, id: ShardId, thread: &'a Arc<str>) -> impl Iterator<Item = HeldWork<'a>> {
        self.strands.iter().enumerate().flat_map(move |(number, strand)| {
            strand.held().into_iter().map(move |held| HeldWork {
                place: HeldPlace::Handler(id, number, held.who),
                thread: thread.clone(),
                state: (held.turn, held.progress),
                strand: Some(strand),
            })
        })
    }
}

impl HeldWork<'_> {
    fn of(place: HeldPlace, thread: Arc<str>, state: (u64, u64)) -> Self {
        Self { place, thread, state, strand: None }
    }

    fn tell(&self, time: Duration, blocks: bool) -> String {
        let by = match &self.place {
            HeldPlace::Handler(id, _, who) => self.strand.and_then(|strand| strand.describe(*who)).map(|by| (*id, by)),
            HeldPlace::Timer(_) | HeldPlace::Thread(_) => None,
        };
        let what = match (&self.place, by) {
            (_, Some((_, HeldBy::Agent { name, source, event: Some(event) }))) => {
                let key = event.key.map_or("no key".to_owned(), |key| format!("key \"{key}\""));
                format!("agent `{name}` has not finished {source}@{} ({key})", event.offset)
            }
            (_, Some((_, HeldBy::Agent { name, source, event: None }))) => {
                format!("agent `{name}` has not finished an event of {source}")
            }
            (_, Some((id, HeldBy::Timer(name)))) => {
                format!("partition timer `{name}` has not returned in partition {}", id.partition)
            }
            (HeldPlace::Timer(name), None) => format!("timer `{name}` has not returned"),
            (HeldPlace::Thread(_) | HeldPlace::Handler(..), None) => "something has not returned".to_owned(),
        };
        let (time, thread) = (time.as_secs_f64(), &self.thread);
        if blocks {
            format!(
                "{what} for {time:.1} s and blocks thread {thread}, so nothing else runs on it: do not sleep, wait \
                 for locks or compute for long in a handler; move such work to another thread \
                 (`tokio::task::spawn_blocking`)"
            )
        } else {
            format!(
                "{what} for {time:.1} s (thread {thread} is not blocked): an `.await` in it does not complete; set a \
                 time limit for what it waits for"
            )
        }
    }
}
