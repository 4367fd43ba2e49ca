//! Checks of group rebalances: partitions are shared out in balance, and move one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Setting;
use super::attendant::Attendant;
use super::setting::place;
use crate::{GroupEvent, TopicPartition};

/// Returns whether the members own each partition of `topics` exactly once, and no member owns more
/// than one partition more than another. Balance within each topic is not required, because Kafka's
/// assignors do not promise it either.
fn balanced(members: &[Attendant], topics: &[(&Arc<str>, usize)]) -> bool {
    let owned: Vec<BTreeSet<TopicPartition>> = members.iter().map(Attendant::owned).collect();
    let once = topics.iter().all(|(topic, count)| {
        let all: Vec<_> = owned.iter().flatten().filter(|place| place.topic == **topic).collect();
        all.len() == *count && all.iter().collect::<BTreeSet<_>>().len() == *count
    });
    let counts = owned.iter().map(BTreeSet::len);
    let spread = counts.clone().max().zip(counts.min()).map_or(0, |(most, least)| most - least);
    once && spread <= 1
}

/// Checks balance while five members join one after the other, and leave again.
pub async fn partitions_are_balanced_for_any_number_of_members(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(7).await);
    let mut members = Vec::new();
    for _ in 0..5 {
        members.push(setting.attend(&group, &[&anchor]).await);
        setting.until("balance", async || balanced(&members, &[(&anchor, 7)])).await;
    }
    while members.len() > 1 {
        members.remove(0).leave().await;
        setting.until("balance", async || balanced(&members, &[(&anchor, 7)])).await;
    }
    members.remove(0).leave().await;
}

/// Checks that nobody else gets a revoked partition before it is acknowledged, and that the other
/// partitions stay undisturbed.
pub async fn a_partition_moves_only_after_it_was_acknowledged(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let mut one = setting.join(&group, &[&anchor]).await;
    let mut owned = BTreeSet::new();
    while owned.len() < 2 {
        let GroupEvent::Assigned(places) = setting.event(&mut one).await else { panic!("it is alone") };
        owned.extend(places);
    }
    let two = setting.attend(&group, &[&anchor]).await;
    let GroupEvent::Revoked(revoked) = setting.event(&mut one).await else { panic!("one partition has to move") };
    assert_eq!(revoked.len(), 1, "only what has to move is revoked");
    assert!(owned.contains(&revoked[0]));
    // The member stays alive, and takes its time.
    let quiet = tokio::time::timeout(setting.session_timeout * 2, one.next()).await;
    assert!(quiet.is_err(), "nothing more happens before the acknowledgement: {quiet:?}");
    assert!(two.owned().is_empty(), "not given on before it was acknowledged");
    one.acknowledge(&revoked).await.unwrap();
    let one = Attendant::of(one);
    setting.until("the partition moves", async || two.owned() == revoked.iter().cloned().collect()).await;
    assert!(one.seen().gone.is_empty(), "what stays is not disturbed");
    one.leave().await;
    two.leave().await;
}

/// Checks that a third member takes no more than its share from the others, and that only its
/// partitions move when it leaves.
pub async fn what_need_not_move_stays(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(6).await);
    let mut members = vec![setting.attend(&group, &[&anchor]).await];
    setting.until("balance", async || balanced(&members, &[(&anchor, 6)])).await;
    members.push(setting.attend(&group, &[&anchor]).await);
    setting.until("balance", async || balanced(&members, &[(&anchor, 6)])).await;
    let before: Vec<_> = members.iter().map(Attendant::owned).collect();
    let gone: Vec<_> = members.iter().map(|member| member.seen().gone.len()).collect();
    members.push(setting.attend(&group, &[&anchor]).await);
    setting.until("balance", async || balanced(&members, &[(&anchor, 6)])).await;
    for (index, before) in before.iter().enumerate() {
        assert!(members[index].owned().is_subset(before), "two of its three stay");
        assert_eq!(members[index].seen().gone.len(), gone[index] + 1, "and one goes");
    }
    let kept: Vec<_> = members.iter().take(2).map(Attendant::owned).collect();
    members.remove(2).leave().await;
    setting.until("balance", async || balanced(&members, &[(&anchor, 6)])).await;
    for (index, kept) in kept.iter().enumerate() {
        assert!(members[index].owned().is_superset(kept));
        assert_eq!(members[index].seen().gone.len(), gone[index] + 1, "nothing moves between those who stay");
    }
    for member in members {
        member.leave().await;
    }
}

/// Checks that the partitions of a member that leaves move at once, without waiting for the end of
/// its session.
pub async fn a_member_that_leaves_gives_all_up_at_once(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(3).await);
    let mut config = setting.group_config(&group, &[&anchor]);
    // Longer than the check waits.
    config.session_timeout = setting.patience * 10;
    let one = Attendant::of(setting.join_with(config.clone()).await);
    setting.until("it has all", async || one.owned().len() == 3).await;
    let two = Attendant::of(setting.join_with(config).await);
    one.leave().await;
    setting.until("the other has all", async || two.owned().len() == 3).await;
    two.leave().await;
}

/// Checks balance over two topics with different numbers of partitions, when all members subscribe
/// to both.
pub async fn topics_of_a_group_are_balanced_together(setting: &Setting) {
    let (group, one, two) = (setting.name("group"), setting.topic(4).await, setting.topic(3).await);
    let topics = [(&one, 4), (&two, 3)];
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(setting.attend(&group, &[&one, &two]).await);
        setting.until("balance", async || balanced(&members, &topics)).await;
    }
    let first = place(&one, 0);
    assert_eq!(members.iter().filter(|member| member.owned().contains(&first)).count(), 1);
    for member in members {
        member.leave().await;
    }
}
