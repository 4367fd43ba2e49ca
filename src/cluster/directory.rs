//! The directory of workers: the app's workers as one process knows them, and the claims that
//! count.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::entry::Entry;
use super::rendezvous::Candidate;
use crate::watch;

/// The workers of the app, as this process knows them.
///
/// Workers of this process announce their entries here directly. Entries of other workers arrive
/// through the topic, one produce and one fetch later.
#[doc(alias = "StreamsMetadata")]
pub(crate) struct Directory {
    process: Arc<str>,
    workers: RwLock<BTreeMap<Arc<str>, Known>>,
    /// The newest claim to each shard, by group and partition. It stays here after its worker has
    /// withdrawn it.
    taken: RwLock<BTreeMap<Arc<str>, BTreeMap<u32, Taken>>>,
    /// The worker whose record was ignored last because it was not signed.
    unsigned: Mutex<Option<(Arc<str>, Instant)>>,
    changed: watch::Sender<()>,
    /// Notified when the topic contradicts what a worker of this process says of itself.
    disputed: watch::Sender<()>,
}

/// The newest generation at which a worker claimed to have taken a shard.
#[derive(Clone, Copy)]
struct Taken {
    generation: u64,
    /// The claim is ignored after this moment, because its worker has then been silent for too
    /// long.
    until: Instant,
}

/// How long an unsigned record is reported as the reason why a shard has no owner.
const UNSIGNED_FOR: Duration = Duration::from_secs(600);

struct Known {
    entry: Arc<Entry>,
    /// The time of the worker's last record.
    heard: Instant,
}

/// A worker's claim to a shard: it says that it has taken the shard. The newest claim names the
/// owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) worker: Arc<str>,
    pub(crate) url: Option<Arc<str>>,
    /// The group's generation at which the worker took the shard.
    pub(crate) generation: u64,
    pub(crate) open: bool,
    pub(crate) place: ClaimPlace,
}

/// The process of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimPlace {
    /// This process.
    Here,
    /// Another process.
    Elsewhere,
}

impl Directory {
    /// Makes an empty directory for the process called `process`.
    pub(crate) fn new(process: Arc<str>) -> Self {
        let (changed, disputed) = (watch::Sender::new(()), watch::Sender::new(()));
        Self {
            process,
            workers: RwLock::default(),
            taken: RwLock::default(),
            unsigned: Mutex::default(),
            changed,
            disputed,
        }
    }

    /// Returns the name of this process.
    pub(crate) fn process(&self) -> &Arc<str> {
        &self.process
    }

    /// Sets the entry of a worker of this process.
    pub(crate) fn announce(&self, worker: &Arc<str>, entry: Entry) {
        self.set(worker, Some(entry), Instant::now());
    }

    /// Removes the entry of a worker of this process, because the worker has left.
    pub(crate) fn withdraw(&self, worker: &Arc<str>) {
        self.set(worker, None, Instant::now());
    }

    /// Sets the entry of a worker as a record of the topic has it. `None` means that the worker has
    /// left. Records about workers of this process do not change the directory, because the process
    /// knows better.
    pub(crate) fn hear(&self, worker: &Arc<str>, entry: Option<Entry>, at: Instant) {
        let is_here = |entry: &Entry| entry.process == self.process;
        let known_here = self.workers.read().get(worker).is_some_and(|known| is_here(&known.entry));
        match (known_here, entry.as_ref().is_some_and(is_here)) {
            (false, false) => self.set(worker, entry, at),
            // A worker with a stable name: an earlier process with that name wrote its entry, or
            // its tombstone. The worker must write its own entry again.
            (true, false) => {
                self.disputed.send_replace(());
            }
            (_, true) => {}
        }
    }

    /// Records that a record of `worker` was not signed with the token that the workers share.
    pub(crate) fn note_unsigned(&self, worker: &str) {
        *self.unsigned.lock() = Some((worker.into(), Instant::now()));
    }

    /// Returns the worker whose record was last found unsigned, for ten minutes after that.
    pub(crate) fn unsigned(&self) -> Option<Arc<str>> {
        let unsigned = self.unsigned.lock();
        unsigned.as_ref().filter(|(_, at)| at.elapsed() < UNSIGNED_FOR).map(|(worker, _)| worker.clone())
    }

    /// Returns a receiver that is notified when the topic contradicts a worker of this process. The
    /// worker must then write its entry again.
    pub(crate) fn disputed(&self) -> watch::Receiver<()> {
        self.disputed.subscribe()
    }

    fn set(&self, worker: &Arc<str>, entry: Option<Entry>, heard: Instant) {
        if let Some(entry) = &entry
            && (entry.process == self.process || heard.elapsed() <= entry.silent_after())
        {
            self.note_taken(entry, heard);
        }
        let mut workers = self.workers.write();
        let changed = match (entry, workers.get_mut(worker)) {
            (None, _) => workers.remove(worker).is_some(),
            (Some(entry), Some(known)) => {
                let (was_live, changed) = (known.is_live(), *known.entry != entry);
                *known = Known { entry: Arc::new(entry), heard };
                changed || was_live != known.is_live()
            }
            (Some(entry), None) => {
                workers.insert(worker.clone(), Known { entry: Arc::new(entry), heard });
                true
            }
        };
        drop(workers);
        if changed {
            self.changed.send_replace(());
        }
    }

    fn note_taken(&self, entry: &Entry, heard: Instant) {
        let until = heard + entry.silent_after();
        let mut taken = self.taken.write();
        for (group, claims) in &entry.shards {
            let of_group = taken.entry(group.clone()).or_default();
            for claim in claims {
                let said = Taken { generation: claim.generation, until };
                let newest = of_group.entry(claim.partition).or_insert(said);
                match claim.generation.cmp(&newest.generation) {
                    Ordering::Greater => *newest = said,
                    Ordering::Equal => newest.until = newest.until.max(until),
                    Ordering::Less if newest.until < Instant::now() => *newest = said,
                    Ordering::Less => {}
                }
            }
        }
    }

    /// Returns a receiver that is notified when the directory changes. A worker that becomes silent
    /// does not notify it.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the owner of a group's partition: the worker with the newest claim.
    ///
    /// A claim that is older than the newest one that was ever made is ignored, even if that newest
    /// one has been withdrawn since. Its worker was expelled from the group, and does not know it
    /// yet.
    pub(crate) fn owner(&self, group: &str, partition: Partition) -> Option<Claim> {
        let taken = self.taken.read().get(group).and_then(|of_group| of_group.get(&partition.get()).copied());
        let taken = taken.filter(|taken| taken.until >= Instant::now()).map(|taken| taken.generation);
        let workers = self.workers.read();
        let claims = workers.iter().filter(|(_, known)| self.counts(known)).filter_map(|(worker, known)| {
            let claim = known.entry.claim(group, partition.get()).filter(|claim| Some(claim.generation) >= taken)?;
            Some((claim, worker, &known.entry))
        });
        let (claim, worker, entry) = claims.max_by_key(|(claim, ..)| claim.generation)?;
        Some(Claim {
            worker: worker.clone(),
            url: entry.url.clone(),
            generation: claim.generation,
            open: claim.open,
            place: if entry.process == self.process { ClaimPlace::Here } else { ClaimPlace::Elsewhere },
        })
    }

    /// Returns the workers whose entries count: those of this process, and others that are not
    /// silent for too long.
    pub(crate) fn workers(&self) -> Vec<Candidate> {
        let workers = self.workers.read();
        let live = workers.iter().filter(|(_, known)| self.counts(known));
        let candidate = |(worker, known): (&Arc<str>, &Known)| Candidate {
            worker: worker.clone(),
            process: known.entry.process.clone(),
        };
        live.map(candidate).collect()
    }

    /// Returns the workers that keep a standby of a shard, with the URLs of those that can be
    /// asked.
    pub(crate) fn standbys(&self, group: &str, partition: Partition) -> Vec<(Arc<str>, Option<Arc<str>>)> {
        let workers = self.workers.read();
        let live = workers.iter().filter(|(_, known)| self.counts(known));
        let stands_by = |known: &Known| {
            known.entry.standbys.get(group).is_some_and(|partitions| partitions.contains(&partition.get()))
        };
        let those = live.filter(|(_, known)| stands_by(known));
        those.map(|(worker, known)| (worker.clone(), known.entry.url.clone())).collect()
    }

    /// Returns `true` if `worker` still claims the shard at `generation`.
    pub(crate) fn still_claims(&self, worker: &str, group: &str, partition: Partition, generation: u64) -> bool {
        let workers = self.workers.read();
        let claim = workers.get(worker).and_then(|known| known.entry.claim(group, partition.get()));
        claim.is_some_and(|claim| claim.generation == generation)
    }

    /// Returns the newest generation at which a worker of this process took the shard, if one still
    /// has it.
    pub(crate) fn taken_here(&self, group: &str, partition: Partition) -> Option<u64> {
        let workers = self.workers.read();
        let here = workers.values().filter(|known| known.entry.process == self.process);
        here.filter_map(|known| Some(known.entry.claim(group, partition.get())?.generation)).max()
    }

    /// Returns how many of the leader's tasks and sources are not done; `None` if no leader is
    /// known.
    pub(crate) fn leader_tasks_left(&self) -> Option<usize> {
        let workers = self.workers.read();
        let leaders = workers.values().filter(|known| self.counts(known) && known.entry.leads.is_some());
        leaders.max_by_key(|known| known.entry.leads).map(|known| known.entry.leader_tasks_left)
    }

    /// Returns the workers of other processes that have been silent for twice as long as they may.
    pub(crate) fn silent(&self) -> Vec<Arc<str>> {
        let workers = self.workers.read();
        let elsewhere = workers.iter().filter(|(_, known)| known.entry.process != self.process);
        let silent = elsewhere.filter(|(_, known)| known.heard.elapsed() > 2 * known.entry.silent_after());
        silent.map(|(worker, _)| worker.clone()).collect()
    }

    fn counts(&self, known: &Known) -> bool {
        known.entry.process == self.process || known.is_live()
    }
}

impl Known {
    fn is_live(&self) -> bool {
        self.heard.elapsed() <= self.entry.silent_after()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::entry::ShardClaim;

    fn entry(process: &str, partition: u32, generation: u64) -> Entry {
        let claim = ShardClaim { partition, generation, open: true };
        Entry {
            process: process.into(),
            url: Some(format!("http://{process}").into()),
            silent_after: 1000,
            shards: [("g".into(), vec![claim])].into(),
            ..Entry::default()
        }
    }

    fn owner(directory: &Directory, partition: u32) -> Option<String> {
        directory.owner("g", Partition::new(partition)).map(|claim| claim.worker.to_string())
    }

    /// Checks that a claim expires with its worker. Without a shared token anyone can write such a
    /// record.
    #[tokio::test(start_paused = true)]
    async fn a_claim_expires_with_its_worker() {
        let directory = Directory::new("here".into());
        directory.hear(&"a".into(), Some(entry("p", 0, 5)), Instant::now());
        directory.hear(&"forged".into(), Some(entry("q", 0, u64::MAX)), Instant::now());
        assert_eq!(owner(&directory, 0).as_deref(), Some("forged"));
        tokio::time::advance(Duration::from_millis(1001)).await;
        directory.hear(&"a".into(), Some(entry("p", 0, 5)), Instant::now());
        assert_eq!(owner(&directory, 0).as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_claim_to_a_shard_counts() {
        let directory = Directory::new("here".into());
        directory.hear(&"a".into(), Some(entry("p", 0, 5)), Instant::now());
        directory.hear(&"b".into(), Some(entry("q", 0, 7)), Instant::now());
        assert_eq!(owner(&directory, 0).as_deref(), Some("b"));
        directory.announce(&"c".into(), entry("here", 0, 6));
        assert_eq!(owner(&directory, 0).as_deref(), Some("b"));
        directory.announce(&"c".into(), entry("here", 0, 8));
        assert_eq!(owner(&directory, 0).as_deref(), Some("c"));
        assert_eq!(directory.taken_here("g", Partition::new(0)), Some(8));
        directory.withdraw(&"c".into());
        directory.hear(&"b".into(), None, Instant::now());
        assert_eq!(owner(&directory, 0), None, "`a` took it before others did, and so has it no more");
        directory.hear(&"a".into(), Some(entry("p", 0, 9)), Instant::now());
        assert_eq!(owner(&directory, 0).as_deref(), Some("a"));
        assert_eq!(owner(&directory, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_worker_does_not_count_until_it_is_heard_again() {
        let directory = Directory::new("here".into());
        let leads = |generation, left| Entry { leads: Some(generation), leader_tasks_left: left, ..entry("p", 0, 1) };
        directory.hear(&"a".into(), Some(leads(3, 2)), Instant::now());
        assert_eq!((owner(&directory, 0).as_deref(), directory.leader_tasks_left()), (Some("a"), Some(2)));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!((owner(&directory, 0), directory.leader_tasks_left()), (None, None));
        assert!(directory.silent().is_empty());
        tokio::time::advance(Duration::from_millis(1000)).await;
        assert_eq!(directory.silent(), ["a".into()]);
        let mut changed = directory.changed();
        directory.hear(&"a".into(), Some(leads(3, 2)), Instant::now());
        assert!(changed.has_changed().unwrap(), "it is back");
        changed.mark_unchanged();
        directory.hear(&"a".into(), Some(leads(3, 2)), Instant::now());
        assert!(!changed.has_changed().unwrap(), "it says the same");
        directory.hear(&"b".into(), Some(leads(4, 0)), Instant::now());
        assert_eq!(directory.leader_tasks_left(), Some(0), "who leads since later leads");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_ignores_late_records_of_its_own_workers() {
        let directory = Directory::new("here".into());
        directory.announce(&"a".into(), entry("here", 0, 8));
        directory.hear(&"a".into(), Some(entry("here", 0, 3)), Instant::now());
        directory.hear(&"a".into(), None, Instant::now());
        assert_eq!(directory.taken_here("g", Partition::new(0)), Some(8));
        directory.withdraw(&"a".into());
        directory.hear(&"a".into(), Some(entry("here", 0, 8)), Instant::now());
        assert_eq!(owner(&directory, 0), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        directory.announce(&"a".into(), entry("here", 0, 9));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(owner(&directory, 0).as_deref(), Some("a"), "its own need not be heard of");
    }
}
