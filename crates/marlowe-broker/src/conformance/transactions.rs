//! Checks of transactions: everything in one becomes visible, or nothing.

use super::Setting;
use super::exchange::{send, value, values};
use super::setting::place;
use crate::{CommittedOffset, Isolation, Offset, OffsetSpec, TransactionalProducer};

impl Setting {
    pub(super) async fn transactional(&self) -> Box<dyn TransactionalProducer> {
        let id = self.name("id");
        self.within("a producer", self.broker.transactional_producer(&id)).await.expect("a transactional producer")
    }
}

/// Checks that a commit shows records of several partitions and topics together with positions, and
/// that it returns the offsets at which they are read.
pub async fn a_commit_shows_records_and_positions_together(setting: &Setting) {
    let (one, two) = (setting.topic(2).await, setting.topic(1).await);
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let mut producer = setting.transactional().await;
    for round in 0..3u64 {
        producer.begin().unwrap();
        let first = send(&mut *producer, &place(&one, 0), "a").unwrap();
        producer.send(first, value("b")).unwrap();
        let second = send(&mut *producer, &place(&one, 1), "c").unwrap();
        let third = send(&mut *producer, &place(&two, 0), "d").unwrap();
        let offset = CommittedOffset { offset: Offset::new(10 + round), metadata: format!("round {round}") };
        let metadata = member.metadata().current();
        producer.send_offsets(&[(place(&anchor, 0), offset.clone())], &metadata).unwrap();
        let written = setting.within("a commit", producer.commit()).await.unwrap();

        for (destination, at) in [(first, place(&one, 0)), (second, place(&one, 1)), (third, place(&two, 0))] {
            let told = written.end(destination).expect("each destination got records");
            let read = setting.read_all(&at.topic, Isolation::ReadCommitted).await;
            let last = read.iter().rfind(|read| read.partition == at.partition.get()).expect("its records are there");
            assert_eq!(last.offset.next(), told, "the end does not count the marker");
            // A broker may write the marker a moment after it has answered.
            let marked = async || setting.offset(&at, OffsetSpec::Latest).await > told;
            setting.until("the marker takes an offset", marked).await;
        }
        let committed = setting.broker.committed(&group, &[place(&anchor, 0)]).await.unwrap();
        assert_eq!(committed, [Some(offset)]);
    }
    let all = setting.read_all(&one, Isolation::ReadCommitted).await;
    assert_eq!(values(&all), ["a", "b", "a", "b", "a", "b", "c", "c", "c"]);
    member.leave().await;
}

/// Checks that neither records nor positions are visible before the commit, and that both are
/// afterwards.
pub async fn an_open_transaction_is_not_seen(setting: &Setting) {
    let topic = setting.topic(1).await;
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let mut producer = setting.transactional().await;
    producer.begin().unwrap();
    send(&mut *producer, &place(&topic, 0), "x").unwrap();
    setting.within("a flush", producer.flush()).await.unwrap();
    let mut reader = setting.broker.reader(Isolation::ReadCommitted).unwrap();
    reader.assign(&place(&topic, 0), Offset::ZERO).unwrap();
    let seen = async {
        loop {
            let fetched = reader.poll().await.expect("records can be read");
            if let Some(fetched) = fetched.iter().find(|fetched| !fetched.batch.is_empty()) {
                return fetched.batch.get(0).value.map(<[u8]>::to_vec);
            }
        }
    };
    let mut seen = std::pin::pin!(seen);
    let early = tokio::time::timeout(setting.session_timeout / 5, &mut seen).await;
    assert!(early.is_err(), "seen before the commit");
    let offsets = [(place(&anchor, 0), Offset::new(1).into())];
    producer.send_offsets(&offsets, &member.metadata().current()).unwrap();
    setting.within("a commit", producer.commit()).await.unwrap();
    assert_eq!(setting.within("the record", seen).await.as_deref(), Some(&b"x"[..]));
    let committed = setting.broker.committed(&group, &[place(&anchor, 0)]).await.unwrap();
    assert_eq!(committed, [Some(Offset::new(1).into())]);
    member.leave().await;
}

/// Checks that readers of committed records never see an aborted transaction, and that the producer
/// goes on.
pub async fn an_aborted_transaction_is_never_seen(setting: &Setting) {
    let topic = setting.topic(2).await;
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let mut producer = setting.transactional().await;
    for (text, commit) in [("kept", true), ("dropped", false), ("kept too", true), ("dropped too", false)] {
        producer.begin().unwrap();
        send(&mut *producer, &place(&topic, 0), text).unwrap();
        send(&mut *producer, &place(&topic, 1), text).unwrap();
        if commit {
            setting.within("a commit", producer.commit()).await.unwrap();
        } else {
            let offsets = [(place(&anchor, 0), Offset::new(99).into())];
            producer.send_offsets(&offsets, &member.metadata().current()).unwrap();
            setting.within("an abort", producer.abort()).await.unwrap();
        }
    }
    let read = setting.read_all(&topic, Isolation::ReadCommitted).await;
    assert_eq!(values(&read), ["kept", "kept too", "kept", "kept too"]);
    assert_eq!(setting.broker.committed(&group, &[place(&anchor, 0)]).await.unwrap(), [None]);
    member.leave().await;
}

/// Checks that positions alone can be committed, and that they leave nothing in any partition.
pub async fn a_transaction_may_have_positions_only(setting: &Setting) {
    let (group, anchor) = (setting.name("group"), setting.topic(2).await);
    let member = setting.member(&group, &anchor).await;
    let mut producer = setting.transactional().await;
    producer.begin().unwrap();
    let offsets = [(place(&anchor, 1), CommittedOffset { offset: Offset::new(3), metadata: "note".into() })];
    producer.send_offsets(&offsets, &member.metadata().current()).unwrap();
    let written = setting.within("a commit", producer.commit()).await.unwrap();
    assert_eq!(written.ends, []);
    let committed = setting.broker.committed(&group, &[place(&anchor, 0), place(&anchor, 1)]).await.unwrap();
    assert_eq!(committed, [None, Some(offsets[0].1.clone())]);
    assert_eq!(setting.offset(&place(&anchor, 1), OffsetSpec::Latest).await, Offset::ZERO);
    member.leave().await;
}

/// Checks that an empty transaction can be committed or aborted, and writes nothing.
pub async fn a_transaction_may_be_empty(setting: &Setting) {
    let topic = setting.topic(1).await;
    let mut producer = setting.transactional().await;
    producer.destination(&place(&topic, 0)).unwrap();
    for _ in 0..2 {
        producer.begin().unwrap();
        assert_eq!(setting.within("a commit", producer.commit()).await.unwrap().ends, []);
        producer.begin().unwrap();
        setting.within("an abort", producer.abort()).await.unwrap();
    }
    assert_eq!(setting.offset(&place(&topic, 0), OffsetSpec::Latest).await, Offset::ZERO);
}

/// Checks that sending, adding positions and committing need an open transaction, and that only one
/// can be open at a time.
pub async fn calls_out_of_order_are_refused(setting: &Setting) {
    let topic = setting.topic(1).await;
    let (group, anchor) = (setting.name("group"), setting.topic(1).await);
    let member = setting.member(&group, &anchor).await;
    let metadata = member.metadata().current();
    let mut producer = setting.transactional().await;
    let offsets = [(place(&anchor, 0), Offset::new(1).into())];
    assert!(send(&mut *producer, &place(&topic, 0), "early").is_err());
    assert!(producer.send_offsets(&offsets, &metadata).is_err());
    assert!(setting.within("a refusal", producer.commit()).await.is_err());
    producer.begin().unwrap();
    assert!(producer.begin().is_err());
    send(&mut *producer, &place(&topic, 0), "in time").unwrap();
    setting.within("a commit", producer.commit()).await.unwrap();
    assert!(setting.within("a refusal", producer.commit()).await.is_err());
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["in time"]);
    member.leave().await;
}
