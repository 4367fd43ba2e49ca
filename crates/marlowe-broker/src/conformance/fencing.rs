//! Checks of fencing: a producer or member that was replaced commits nothing, and a current one is
//! never refused.

use super::Setting;
use super::exchange::{send, values};
use super::setting::place;
use crate::{BrokerError, GroupMetadata, Isolation, Offset, TransactionalProducer};

impl Setting {
    /// Commits a transaction with one record and one position in the name of `metadata`, and
    /// returns its outcome. It aborts the transaction when the commit is refused.
    pub(super) async fn commit_as(
        &self,
        producer: &mut dyn TransactionalProducer,
        metadata: &GroupMetadata,
        topic: &std::sync::Arc<str>,
        position: u64,
    ) -> Result<(), BrokerError> {
        producer.begin()?;
        let to = place(topic, 0);
        send(producer, &to, &position.to_string())?;
        let offered = producer.send_offsets(&[(to, Offset::new(position).into())], metadata);
        let outcome = match offered {
            Ok(()) => self.within("a commit", producer.commit()).await.map(drop),
            Err(refused) => Err(refused),
        };
        if outcome.is_err() {
            self.within("an abort", producer.abort()).await?;
        }
        outcome
    }

    /// Checks that commits in the name of `metadata` are refused and leave nothing behind. With
    /// `good`, also checks that the same producer can then commit in that name.
    pub(super) async fn refuses(&self, metadata: &GroupMetadata, good: Option<&GroupMetadata>) {
        let topic = self.topic(1).await;
        let mut producer = self.transactional().await;
        let refused = self.commit_as(&mut *producer, metadata, &topic, 1).await;
        assert!(matches!(refused, Err(BrokerError::Fenced { .. })), "{metadata:?} is over, and got {refused:?}");
        let offsets = [(place(&topic, 0), Offset::new(1).into())];
        let outside = self.broker.commit_offsets(&metadata.group, Some(metadata), &offsets);
        assert!(matches!(self.within("a refusal", outside).await, Err(BrokerError::Fenced { .. })));
        assert!(self.read_all(&topic, Isolation::ReadCommitted).await.is_empty());
        assert_eq!(self.broker.committed(&metadata.group, &[place(&topic, 0)]).await.unwrap(), [None]);
        if let Some(good) = good {
            self.commit_as(&mut *producer, good, &topic, 2).await.expect("a member commits");
            assert_eq!(values(&self.read_all(&topic, Isolation::ReadCommitted).await), ["2"]);
        }
    }
}

/// Checks that everything an older producer tries is refused, and that nothing it sent is ever
/// visible.
pub async fn a_newer_producer_fences_the_older(setting: &Setting) {
    let topic = setting.topic(1).await;
    let id = setting.name("id");
    let producer = async || setting.within("a producer", setting.broker.transactional_producer(&id)).await.unwrap();
    let mut idle = producer().await;
    idle.begin().unwrap();
    setting.within("an abort", idle.abort()).await.unwrap();
    let mut busy = producer().await;
    busy.begin().unwrap();
    send(&mut *busy, &place(&topic, 0), "of the older").unwrap();
    let mut newest = producer().await;

    let committed = setting.within("a refusal", busy.commit()).await;
    assert!(matches!(committed, Err(BrokerError::Fenced { .. })), "{committed:?}");
    for older in [&mut idle, &mut busy] {
        let tried = async {
            older.begin()?;
            send(&mut **older, &place(&topic, 0), "of the older")?;
            older.commit().await.map(drop)
        };
        assert!(matches!(setting.within("a refusal", tried).await, Err(BrokerError::Fenced { .. })));
    }
    newest.begin().unwrap();
    send(&mut *newest, &place(&topic, 0), "of the newest").unwrap();
    setting.within("a commit", newest.commit()).await.unwrap();
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["of the newest"]);
}

/// Checks that a member cannot commit under its former identity after it left.
pub async fn a_member_that_left_commits_nothing(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let (one, two) = (setting.attend(&group, &[&anchor]).await, setting.attend(&group, &[&anchor]).await);
    setting.until("both have one", async || one.owned().len() == 1 && two.owned().len() == 1).await;
    let of_one = one.metadata().current();
    one.leave().await;
    setting.until("all is with the other", async || two.owned().len() == 2).await;
    setting.refuses(&of_one, Some(&two.metadata().current())).await;
    let of_two = two.metadata().current();
    two.leave().await;
    setting.refuses(&of_two, None).await;
}

/// Checks that a member id that the broker did not give is refused, in a group that exists and in
/// one that does not.
pub async fn a_member_nobody_knows_commits_nothing(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let good = member.metadata().current();
    setting.refuses(&GroupMetadata { member: "nobody".into(), ..good.clone() }, Some(&good)).await;
    setting.refuses(&GroupMetadata { group: setting.name("group"), ..good }, None).await;
    member.leave().await;
}

/// Checks that a generation that the group has not reached yet is refused.
pub async fn a_generation_to_come_is_refused(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let good = member.metadata().current();
    let to_come = GroupMetadata { generation: good.generation + 1000, ..good.clone() };
    setting.refuses(&to_come, Some(&good)).await;
    member.leave().await;
}

/// Checks that a transaction without positions still has its member checked.
pub async fn empty_positions_still_check_the_member(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let topic = setting.topic(1).await;
    let member = setting.member(&group, &anchor).await;
    let mut producer = setting.transactional().await;
    producer.begin().unwrap();
    send(&mut *producer, &place(&topic, 0), "good").unwrap();
    producer.send_offsets(&[], &member.metadata().current()).unwrap();
    setting.within("a commit", producer.commit()).await.unwrap();

    let over = member.metadata().current();
    member.leave().await;
    producer.begin().unwrap();
    send(&mut *producer, &place(&topic, 0), "bad").unwrap();
    let outcome = match producer.send_offsets(&[], &over) {
        Ok(()) => setting.within("a refusal", producer.commit()).await.map(drop),
        Err(refused) => Err(refused),
    };
    assert!(matches!(outcome, Err(BrokerError::Fenced { .. })), "{outcome:?}");
    setting.within("an abort", producer.abort()).await.unwrap();
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["good"]);
}

/// Checks that a healthy member never loses a commit when others join, hand over or leave, as long
/// as it asks for its current identity each time.
pub async fn a_member_commits_while_others_come_and_go(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(4).await);
    let topic = setting.topic(1).await;
    let member = setting.attend(&group, &[&anchor]).await;
    setting.until("it has all", async || member.owned().len() == 4).await;
    let metadata = member.metadata();
    let mut producer = setting.transactional().await;
    // `other` acknowledges nothing yet, so its rebalance stays under way while the member commits.
    let mut other = setting.join(&group, &[&anchor]).await;
    for position in 1..=5 {
        setting.commit_as(&mut *producer, &metadata.current(), &topic, position).await.expect("a member commits");
    }
    setting.event(&mut other).await;
    let other = super::attendant::Attendant::of(other);
    for position in 6..=10 {
        setting.commit_as(&mut *producer, &metadata.current(), &topic, position).await.expect("a member commits");
    }
    drop(other.stop().await);
    setting.commit_as(&mut *producer, &metadata.current(), &topic, 11).await.expect("a member commits");
    let committed = setting.broker.committed(&group, &[place(&topic, 0)]).await.unwrap();
    assert_eq!(committed, [Some(Offset::new(11).into())]);
    member.leave().await;
}
