//! Checks of sessions: members that fall silent, and members that come back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Setting;
use super::attendant::Attendant;
use super::setting::place;
use crate::{BrokerError, GroupEvent, Offset};

/// Checks that a silent member's partitions go to others, and that it can commit nothing
/// afterwards.
pub async fn a_silent_member_is_expelled(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let silent = setting.attend(&group, &[&anchor]).await;
    setting.until("it has all", async || silent.owned().len() == 2).await;
    let metadata = silent.metadata();
    let silent = silent.stop().await;
    let other = setting.attend(&group, &[&anchor]).await;
    setting.until("the other has all", async || other.owned().len() == 2).await;
    setting.refuses(&metadata.current(), Some(&other.metadata().current())).await;
    drop(silent);
    other.leave().await;
}

/// Checks that an expelled member's acknowledgement is refused, that it learns what it lost, and
/// that it then joins again.
pub async fn an_expelled_member_learns_what_it_lost_and_comes_back(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let member = setting.attend(&group, &[&anchor]).await;
    setting.until("it has all", async || member.owned().len() == 2).await;
    let (owned, old) = (member.owned(), member.metadata().current());
    let mut member = member.stop().await;
    let other = setting.attend(&group, &[&anchor]).await;
    setting.until("the other has all", async || other.owned().len() == 2).await;

    let refused = member.acknowledge(&[place(&anchor, 0)]).await;
    assert!(refused.is_err(), "it was taken for dead");
    let event = setting.event(&mut member).await;
    let GroupEvent::Lost(lost) = event else { panic!("it lost its partitions, and was told {event:?}") };
    assert_eq!(lost.into_iter().collect::<BTreeSet<_>>(), owned);
    let member = Attendant::of(member);
    setting.until("it has a share again", async || member.owned().len() == 1 && other.owned().len() == 1).await;
    setting.refuses(&old, Some(&member.metadata().current())).await;
    member.leave().await;
    other.leave().await;
}

/// Checks that a dropped membership counts as silent, and not as leaving the group.
pub async fn a_dropped_member_keeps_its_partitions_for_the_session(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let other = setting.attend(&group, &[&anchor]).await;
    let dropped = setting.attend(&group, &[&anchor]).await;
    setting.until("both have one", async || other.owned().len() == 1 && dropped.owned().len() == 1).await;
    drop(dropped.stop().await);
    tokio::time::sleep(setting.session_timeout / 3).await;
    assert_eq!(other.owned().len(), 1, "the session is not over");
    setting.until("the session ends", async || other.owned().len() == 2).await;
    other.leave().await;
}

/// Checks that a static member that returns within its session gets its partitions back, and that
/// nothing moves meanwhile.
pub async fn a_static_member_comes_back_to_its_partitions(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(4).await);
    let mut config = setting.group_config(&group, &[&anchor]);
    // So long that the member comes back in time on a slow machine, too.
    config.session_timeout = setting.session_timeout * 10;
    let other = Attendant::of(setting.join_with(config.clone()).await);
    config.instance = Some("static".into());
    let first = Attendant::of(setting.join_with(config.clone()).await);
    setting.until("both have two", async || other.owned().len() == 2 && first.owned().len() == 2).await;
    let (had, moved) = (first.owned(), other.seen().gone.len());
    drop(first.stop().await);
    setting.a_while().await;
    let back = Attendant::of(setting.join_with(config.clone()).await);
    setting.until("it has what it had", async || back.owned() == had).await;
    // Leaving makes no difference, because a worker that restarts leaves as well.
    back.leave().await;
    setting.a_while().await;
    let back = Attendant::of(setting.join_with(config).await);
    setting.until("it has what it had, again", async || back.owned() == had).await;
    assert_eq!(other.owned().len(), 2, "the other is not disturbed");
    assert_eq!(other.seen().gone.len(), moved, "not even for a moment");
    back.leave().await;
    other.leave().await;
}

/// Checks that a static member is expelled when it does not come back within its session.
pub async fn a_static_member_that_stays_away_is_expelled(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let other = setting.attend(&group, &[&anchor]).await;
    let mut config = setting.group_config(&group, &[&anchor]);
    config.instance = Some("static".into());
    let member = Attendant::of(setting.join_with(config).await);
    setting.until("both have one", async || other.owned().len() == 1 && member.owned().len() == 1).await;
    member.leave().await;
    setting.until("the session ends", async || other.owned().len() == 2).await;
    other.leave().await;
}

/// Checks that the first member gets an error and can commit nothing afterwards, and that the
/// second gets its partitions.
pub async fn a_second_static_member_fences_the_first(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let mut config = setting.group_config(&group, &[&anchor]);
    config.instance = Some("static".into());
    let first = Attendant::of(setting.join_with(config.clone()).await);
    setting.until("it has all", async || first.owned().len() == 2).await;
    let old = first.metadata();
    let second = Attendant::of(setting.join_with(config).await);
    setting.until("the second has all", async || second.owned().len() == 2).await;
    setting.until("the first is told", async || first.seen().error.is_some()).await;
    assert!(matches!(first.seen().error, Some(BrokerError::Fenced { .. })));
    setting.refuses(&old.current(), Some(&second.metadata().current())).await;
    drop(first.stop().await);
    second.leave().await;
}

/// Checks that no event is lost when the wait for it is dropped again and again.
pub async fn a_dropped_wait_for_news_loses_nothing(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(3).await);
    let mut member = setting.join(&group, &[&anchor]).await;
    let mut owned = BTreeSet::new();
    setting
        .until("it has all", async || {
            drop(member.next());
            match tokio::time::timeout(Duration::from_millis(1), member.next()).await {
                Ok(Ok(GroupEvent::Assigned(places))) => owned.extend(places),
                Ok(other) => panic!("it is alone, and got {other:?}"),
                Err(_) => {}
            }
            owned.len() == 3
        })
        .await;
    let offsets = [(place(&anchor, 0), Offset::new(1).into())];
    let current = member.metadata().current();
    setting.broker.commit_offsets(&group, Some(&current), &offsets).await.unwrap();
    member.leave().await.unwrap();
}
