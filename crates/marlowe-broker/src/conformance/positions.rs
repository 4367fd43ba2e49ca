//! Checks of groups' positions, outside transactions.

use super::Setting;
use super::setting::place;
use crate::{BrokerError, CommittedOffset, Offset};

/// Checks that positions come back in the order asked for, with `None` where there is none, and
/// that groups do not share them.
pub async fn positions_are_kept_with_their_notes(setting: &Setting) {
    let (one, two) = (setting.topic(2).await, setting.topic(1).await);
    let (group, other) = (setting.name("group"), setting.name("group"));
    let first = CommittedOffset { offset: Offset::new(5), metadata: "note: 1, 2".into() };
    let second = CommittedOffset::from(Offset::new(7));
    let offsets = [(place(&one, 1), first.clone()), (place(&two, 0), second.clone())];
    setting.broker.commit_offsets(&group, None, &offsets).await.unwrap();
    let asked = [place(&two, 0), place(&one, 0), place(&one, 1)];
    assert_eq!(setting.broker.committed(&group, &asked).await.unwrap(), [Some(second.clone()), None, Some(first)]);
    assert_eq!(setting.broker.committed(&other, &asked).await.unwrap(), [None, None, None]);
    // A position can also move back, and lose its note.
    setting.broker.commit_offsets(&group, None, &[(place(&one, 1), Offset::ZERO.into())]).await.unwrap();
    let committed = setting.broker.committed(&group, &asked).await.unwrap();
    assert_eq!(committed, [Some(second), None, Some(Offset::ZERO.into())]);
}

/// Checks that a note may have 4,096 bytes, that a longer one is refused, and that the position
/// then stays.
pub async fn a_note_that_is_too_long_is_refused(setting: &Setting) {
    let (group, topic) = (setting.name("group"), setting.topic(1).await);
    let noted = |offset, bytes| CommittedOffset { offset: Offset::new(offset), metadata: "x".repeat(bytes) };
    let commit = async |committed| setting.broker.commit_offsets(&group, None, &[(place(&topic, 0), committed)]).await;
    commit(noted(1, 4096)).await.unwrap();
    assert!(commit(noted(2, 4097)).await.is_err());
    let committed = setting.broker.committed(&group, &[place(&topic, 0)]).await.unwrap();
    assert_eq!(committed, [Some(noted(1, 4096))]);
}

/// Checks that a member can commit outside transactions, as at-least-once processing does.
pub async fn a_member_commits_outside_transactions(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let metadata = member.metadata().current();
    let offsets = [(place(&anchor, 0), Offset::new(4).into())];
    setting.broker.commit_offsets(&group, Some(&metadata), &offsets).await.unwrap();
    let committed = setting.broker.committed(&group, &[place(&anchor, 0)]).await.unwrap();
    assert_eq!(committed, [Some(Offset::new(4).into())]);
    member.leave().await;
}

/// Checks that a group with members cannot be deleted, and that a deleted group has no positions.
pub async fn a_deleted_group_has_no_positions(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let offsets = [(place(&anchor, 0), Offset::new(4).into())];
    setting.broker.commit_offsets(&group, Some(&member.metadata().current()), &offsets).await.unwrap();
    let refused = setting.broker.delete_group(&group).await;
    assert!(matches!(refused, Err(BrokerError::GroupNotEmpty { members: 1, .. })), "{refused:?}");
    member.leave().await;
    setting.broker.delete_group(&group).await.unwrap();
    assert_eq!(setting.broker.committed(&group, &[place(&anchor, 0)]).await.unwrap(), [None]);
}
