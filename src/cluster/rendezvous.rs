//! The choice of workers that keep standbys of a shard.

use std::cmp::Reverse;
use std::sync::Arc;

use marlowe_broker::Partitioner;

/// A worker that may keep a standby of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) worker: Arc<str>,
    pub(crate) process: Arc<str>,
}

/// Returns the workers that keep standbys of a shard: `replicas` of those that do not own it, or
/// all of them if there are fewer.
///
/// Workers of other processes than the owner's come first, because workers of one process end
/// together. Every process that knows the same workers makes the same choice. A worker that comes
/// or goes changes only its own part of the choice (rendezvous hashing).
pub(crate) fn stand_by<'a>(
    candidates: &'a [Candidate],
    owner: &str,
    group: &str,
    partition: u32,
    replicas: usize,
) -> Vec<&'a Arc<str>> {
    let home = candidates.iter().find(|candidate| &*candidate.worker == owner).map(|candidate| &candidate.process);
    let mut others: Vec<&Candidate> = candidates.iter().filter(|candidate| &*candidate.worker != owner).collect();
    others.sort_by_cached_key(|candidate| {
        let text = format!("{}\0{group}\0{partition}", candidate.worker);
        // Any hash will do that is the same in all versions.
        let weight = Partitioner::Murmur2.partition(text.as_bytes(), i32::MAX as u32).get();
        (Some(&candidate.process) == home, Reverse(weight), candidate.worker.clone())
    });
    others.into_iter().take(replicas).map(|candidate| &candidate.worker).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn workers(number: usize, per_process: usize) -> Vec<Candidate> {
        let worker = |n: usize| Candidate {
            worker: format!("{:08x}-{n}", n * 7919).into(),
            process: format!("{}", n / per_process).into(),
        };
        (0..number).map(worker).collect()
    }

    #[test]
    fn the_owner_does_not_stand_by_and_the_rest_is_spread() {
        let workers = workers(5, 1);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for partition in 0..400 {
            let owner = &workers[partition as usize % 5].worker;
            let chosen = stand_by(&workers, owner, "g", partition, 2);
            assert!(chosen.len() == 2 && chosen[0] != chosen[1] && !chosen.contains(&owner));
            chosen.into_iter().for_each(|worker| *counts.entry(worker).or_default() += 1);
        }
        assert!(counts.len() == 5 && counts.values().all(|count| (110..210).contains(count)), "{counts:?}");
        assert_eq!(stand_by(&workers, "nobody", "g", 0, 9).len(), 5);
        assert_eq!(stand_by(&workers[..1], &workers[0].worker, "g", 0, 1).len(), 0);
    }

    #[test]
    fn one_more_worker_takes_only_what_it_gets() {
        let (before, after) = (workers(4, 1), workers(5, 1));
        let new = &after[4].worker;
        for partition in 0..200 {
            let owner = &before[partition as usize % 4].worker;
            let (was, is) = (stand_by(&before, owner, "g", partition, 1), stand_by(&after, owner, "g", partition, 1));
            assert!(was == is || is == [new]);
        }
    }

    #[test]
    fn the_owners_own_process_is_the_last_choice() {
        let workers = workers(4, 2);
        for partition in 0..50 {
            let chosen = stand_by(&workers, &workers[0].worker, "g", partition, 2);
            assert!(!chosen.contains(&&workers[1].worker), "{chosen:?}");
            assert_eq!(stand_by(&workers[..2], &workers[0].worker, "g", partition, 2), [&workers[1].worker]);
        }
    }
}
