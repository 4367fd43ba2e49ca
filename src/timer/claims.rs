//! Claims on the runs of leader crontabs. They make each time run once, even if the leader changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{
    BrokerError, CommittedOffset, MetadataSource, Offset, Partition, SharedBroker, Timestamp, TopicPartition,
};
use tokio::sync::Mutex;

/// The furthest that a claim may be ahead of now, in milliseconds: a day. A claim further ahead was
/// made by a wrong clock.
const AHEAD: i64 = 24 * 60 * 60 * 1000;

/// The most bytes that the claims may take. Kafka's brokers allow 4 KiB of metadata beside a
/// position by default.
pub(super) const MOST_BYTES: usize = 3 << 10;

/// The times for which the leader's crontabs have had their run, whichever worker led then. They
/// are kept with the group, as metadata beside the position of the leader's anchor. The broker
/// accepts them only from members of the group. So no time has two runs, whichever worker leads,
/// also after a restart.
pub(crate) struct Claims {
    broker: SharedBroker,
    group: Arc<str>,
    anchor: TopicPartition,
    metadata: Arc<dyn MetadataSource>,
    worker: u32,
    /// Held during a claim. The crontabs of this worker claim one after the other, because all
    /// claims are one text.
    turn: Mutex<()>,
}

/// The last run of a crontab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CrontabClaim {
    /// The time that the crontab named, in seconds.
    pub(super) named: i64,
    /// The worker that claimed it. The worker needs this if it claims again because the broker's
    /// answer was lost.
    pub(super) worker: u32,
}

impl CrontabClaim {
    /// Returns true if a wrong clock made the claim.
    pub(super) fn is_far_ahead(self, now: Timestamp) -> bool {
        self.named.saturating_mul(1000) > now.millis().saturating_add(AHEAD)
    }
}

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The run is this worker's.
    Ours,
    /// The time has had its run.
    Over,
}

impl Claims {
    pub(crate) fn new(
        broker: SharedBroker,
        group: Arc<str>,
        leader_anchor: Arc<str>,
        metadata: Arc<dyn MetadataSource>,
        worker: &str,
    ) -> Self {
        let anchor = TopicPartition { topic: leader_anchor, partition: Partition::new(0) };
        Self { broker, group, anchor, metadata, worker: hash(worker), turn: Mutex::default() }
    }

    /// Claims the run of `crontab` for the time `named`.
    pub(crate) async fn claim(&self, crontab: &str, named: Timestamp, now: Timestamp) -> Result<Claimed, BrokerError> {
        let _turn = self.turn.lock().await;
        let committed = self.broker.committed(&self.group, std::slice::from_ref(&self.anchor)).await?;
        let committed = committed.into_iter().next().flatten().unwrap_or(Offset::ZERO.into());
        let mut claims = parse(&committed.metadata);
        let seconds = named.millis().div_euclid(1000);
        let ours = CrontabClaim { named: seconds, worker: self.worker };
        match claims.get(&hash(crontab)) {
            Some(claim) if *claim == ours => return Ok(Claimed::Ours),
            Some(claim) if claim.is_far_ahead(now) => {
                tracing::warn!(
                    crontab,
                    "its last run is noted for a time more than a day ahead, so the clock was wrong: that run is \
                     ignored"
                );
            }
            Some(claim) if claim.named >= seconds => return Ok(Claimed::Over),
            _ => {}
        }
        claims.insert(hash(crontab), ours);
        let noted = CommittedOffset { offset: committed.offset, metadata: text(claims) };
        let noted = [(self.anchor.clone(), noted)];
        self.broker.commit_offsets(&self.group, Some(&self.metadata.current()), &noted).await?;
        Ok(Claimed::Ours)
    }
}

pub(super) fn parse(text: &str) -> BTreeMap<u32, CrontabClaim> {
    let claim = |text: &str| {
        let mut parts = text.split(['=', '@']);
        let crontab = u32::from_str_radix(parts.next()?, 16).ok()?;
        let named = parts.next()?.parse().ok()?;
        Some((crontab, CrontabClaim { named, worker: u32::from_str_radix(parts.next()?, 16).ok()? }))
    };
    text.split(';').filter_map(claim).collect()
}

/// Returns the claims as text. If there are too many, the oldest are left out.
pub(super) fn text(claims: BTreeMap<u32, CrontabClaim>) -> String {
    let mut claims: Vec<(u32, CrontabClaim)> = claims.into_iter().collect();
    claims.sort_by_key(|(_, claim)| std::cmp::Reverse(claim.named));
    let mut text = String::new();
    for (crontab, CrontabClaim { named, worker }) in claims {
        let claim = format!("{crontab:08x}={named}@{worker:08x};");
        if text.len() + claim.len() > MOST_BYTES {
            break;
        }
        text.push_str(&claim);
    }
    text
}

/// Returns a number for a name, which is the same in every process (FNV-1a).
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_tells_is_far_ahead_or_long_over() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let is_far_ahead = |named, now| CrontabClaim { named, worker: 1 }.is_far_ahead(now);
        assert!(is_far_ahead(i64::MAX, now) && is_far_ahead(i64::MAX / 999, now) && is_far_ahead(1_800_090_000, now));
        assert!(!is_far_ahead(i64::MIN, now) && !is_far_ahead(1_800_080_000, now));
        assert!(!is_far_ahead(i64::MAX, Timestamp::from_millis(i64::MAX)));
    }

    #[test]
    fn claims_come_back_and_fit_however_many_there_are() {
        let claims =
            |count: u32| (0..count).map(|n| (n, CrontabClaim { named: 1_800_000_000 + i64::from(n), worker: n }));
        let few: BTreeMap<u32, CrontabClaim> = claims(5).collect();
        assert_eq!(parse(&text(few.clone())), few);
        assert_eq!(parse(""), BTreeMap::new());
        let many = text(claims(1000).collect());
        assert!(many.len() <= MOST_BYTES);
        assert!(parse(&many).contains_key(&999), "the newest are kept");
    }
}
