//! Fuzz targets for the directory of workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Uri;
use marlowe_broker::Partition;
use tokio::time::Instant;

use super::directory::Directory;
use super::entry::{Entry, ShardClaim};

/// Reads an entry (`e`), or the lines of a directory (`d`). Each line has a worker's name and its
/// entry, or no entry if the worker has left.
pub fn directory(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'e' => entry(bytes).map(drop),
        b'd' => heard(bytes),
        _ => None,
    }
}

/// Returns inputs that are accepted.
pub fn directory_seeds() -> Vec<Vec<u8>> {
    let entry = |generation: u64, partition: u32| {
        let claim = ShardClaim { partition, generation, open: true };
        let entry = Entry {
            process: "p".into(),
            url: Some("http://10.0.0.5:6066".into()),
            started: 1_700_000_000_000,
            silent_after: 10_000_000,
            shards: [("views".into(), vec![claim])].into(),
            standbys: [("views".into(), vec![1, 2])].into(),
            leads: Some(generation),
            leader_tasks_left: 1,
        };
        serde_json::to_string(&entry).unwrap_or_default()
    };
    vec![
        format!("e{}", entry(7, 3)).into_bytes(),
        format!("da {}\nb {}\nc \na {}", entry(7, 3), entry(8, 3), entry(9, 4)).into_bytes(),
        format!("da {}\na ", entry(7, 3)).into_bytes(),
    ]
}

fn entry(json: &[u8]) -> Option<Entry> {
    let entry: Entry = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&entry).expect("what was read is written");
    assert_eq!(serde_json::from_slice::<Entry>(&written).ok().as_ref(), Some(&entry), "what was written is read");
    // A URL that is accepted reaches the worker itself, and no other path of its server.
    if let Ok(Entry { url: Some(url), .. }) = Entry::parse(json) {
        let asked: Uri = format!("{url}/cluster/v1/read?x").parse().expect("what is an origin can be asked");
        assert_eq!((asked.path(), asked.query()), ("/cluster/v1/read", Some("x")), "{url}");
        assert!(asked.authority().is_some_and(|authority| !authority.as_str().contains('@')), "{url}");
    }
    Some(entry)
}

/// Feeds entries of workers to a directory, as [`follow`](super::follower::follow) does, and checks
/// that the newest claim to each shard counts.
fn heard(lines: &[u8]) -> Option<()> {
    const HERE: &str = "here";
    let directory = Directory::new(HERE.into());
    let mut workers: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
    let mut taken: BTreeMap<(Arc<str>, u32), u64> = BTreeMap::new();
    let mut is_lasting = true;
    for line in lines.split(|byte| *byte == b'\n') {
        let blank = line.iter().position(|byte| *byte == b' ')?;
        let worker: Arc<str> = std::str::from_utf8(&line[..blank]).ok()?.into();
        let said = match &line[blank + 1..] {
            [] => None,
            json => Some(entry(json)?),
        };
        directory.hear(&worker, said.clone(), Instant::now());
        match said {
            Some(entry) if &*entry.process == HERE => {}
            Some(entry) => {
                is_lasting &= entry.silent_after > 1_000_000;
                for (group, claims) in &entry.shards {
                    for claim in claims {
                        let newest = taken.entry((group.clone(), claim.partition)).or_default();
                        *newest = claim.generation.max(*newest);
                    }
                }
                workers.insert(worker, entry);
            }
            None => drop(workers.remove(&worker)),
        }
    }
    for ((group, partition), newest) in &taken {
        let number = Partition::new(*partition);
        let owner = directory.owner(group, number);
        let has = |entry: &Entry| entry.claim(group, *partition).is_some_and(|claim| claim.generation == *newest);
        // If a worker was silent for too long when its entry was heard, neither its claims nor the
        // generations in them count.
        if is_lasting {
            assert_eq!(owner.is_some(), workers.values().any(has), "{group}[{partition}]");
            assert!(owner.iter().all(|owner| owner.generation == *newest && has(&workers[&owner.worker])), "{owner:?}");
        }
        if let Some(owner) = owner {
            assert!(directory.still_claims(&owner.worker, group, number, owner.generation));
        }
        directory.standbys(group, number);
        assert_eq!(directory.taken_here(group, number), None);
    }
    directory.leader_tasks_left();
    directory.silent();
    assert!(!is_lasting || directory.workers().len() == workers.len());
    Some(())
}
