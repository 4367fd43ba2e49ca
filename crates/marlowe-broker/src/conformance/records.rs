//! Checks of records: what is sent comes back.

use std::fmt::Write as _;
use std::time::Duration;

use super::Setting;
use super::exchange::{send, value, values};
use super::setting::place;
use crate::{BrokerError, Clock, Header, Isolation, NewRecord, Offset, OffsetSpec, SystemClock, Timestamp};

type Sent<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [Header<'a>]);

/// Checks keys, values, tombstones, headers and timestamps. An empty one must differ from a missing
/// one.
pub async fn records_come_back_as_they_were_sent(setting: &Setting) {
    let topic = setting.topic(2).await;
    let big = vec![7u8; 300_000];
    let headers = [
        Header::new("trace", b"one"),
        Header::new("trace", b"two"),
        Header { name: "null", value: None },
        Header::new("empty", b""),
        Header::new("", &[0, 255]),
        Header { name: "last", value: None },
    ];
    let sent: [Sent<'_>; 9] = [
        (Some(b"key"), Some(b"value"), &[]),
        (None, Some(b"no key"), &headers[..1]),
        (Some(b"tombstone"), None, &[]),
        (Some(b""), Some(b""), &headers),
        (None, None, &headers),
        (Some(&[0, 159, 255]), Some(&big), &[]),
        (Some(b"null header"), Some(b""), &headers[2..3]),
        (Some(b"empty header"), None, &headers[3..4]),
        (Some(b"last"), Some(b"value"), &[]),
    ];
    let mut producer = setting.broker.producer().unwrap();
    for partition in 0..2 {
        let to = producer.destination(&place(&topic, partition)).unwrap();
        for (millis, (key, value, headers)) in (1_700_000_000_000..).zip(sent) {
            let timestamp = Timestamp::from_millis(millis);
            producer.send(to, NewRecord { timestamp, key, value, headers }).unwrap();
        }
    }
    setting.within("a flush", producer.flush()).await.unwrap();
    let read = setting.read_all(&topic, Isolation::ReadCommitted).await;
    assert_eq!(read.len(), 2 * sent.len());
    for (number, read) in read.iter().enumerate() {
        let (key, value, headers) = sent[number % sent.len()];
        assert_eq!(read.partition as usize, number / sent.len());
        assert_eq!(read.key.as_deref(), key, "record {number}");
        assert_eq!(read.value.as_deref(), value, "record {number}");
        assert_eq!(read.timestamp.millis(), 1_700_000_000_000 + (number % sent.len()) as i64);
        let came: Vec<_> = read.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect();
        assert_eq!(came, headers, "record {number}");
    }
}

/// Checks that records keep the order in which they were sent, across batches and flushes.
pub async fn records_of_a_partition_keep_their_order(setting: &Setting) {
    let topic = setting.topic(1).await;
    let mut producer = setting.broker.producer().unwrap();
    let to = producer.destination(&place(&topic, 0)).unwrap();
    let mut text = String::new();
    for number in 0..20_000 {
        text.clear();
        let _ = write!(text, "{number:0>40}");
        producer.send(to, value(&text)).unwrap();
        if number % 7_000 == 0 {
            setting.within("a flush", producer.flush()).await.unwrap();
        }
    }
    setting.within("a flush", producer.flush()).await.unwrap();
    let read = setting.read_all(&topic, Isolation::ReadCommitted).await;
    assert_eq!(read.len(), 20_000);
    for (number, read) in values(&read).iter().enumerate() {
        assert_eq!(read.parse::<usize>().unwrap(), number);
    }
}

/// Checks that a flush names the end of each destination that got records, and of no other, and
/// that everyone can then read them.
pub async fn a_flush_tells_where_records_went(setting: &Setting) {
    let topic = setting.topic(3).await;
    let mut producer = setting.broker.producer().unwrap();
    let idle = producer.destination(&place(&topic, 2)).unwrap();
    let one = send(&mut *producer, &place(&topic, 0), "a").unwrap();
    let two = send(&mut *producer, &place(&topic, 1), "b").unwrap();
    producer.send(two, value("c")).unwrap();
    let written = setting.within("a flush", producer.flush()).await.unwrap();
    assert_eq!(written.end(one), Some(Offset::new(1)));
    assert_eq!(written.end(two), Some(Offset::new(2)));
    assert_eq!(written.end(idle), None);
    assert_eq!(setting.offset(&place(&topic, 1), OffsetSpec::Latest).await, Offset::new(2));
    let nothing = setting.within("a flush of nothing", producer.flush()).await.unwrap();
    assert_eq!(nothing.ends, []);
    producer.send(one, value("d")).unwrap();
    let written = setting.within("a flush", producer.flush()).await.unwrap();
    assert_eq!(written.ends, [(one, Offset::new(2))]);
}

/// Checks that only the large record is refused: records before and after it go through.
pub async fn a_record_over_the_limit_is_refused_and_the_producer_goes_on(setting: &Setting) {
    let topic = setting.topic(1).await;
    let mut producer = setting.broker.producer().unwrap();
    let to = send(&mut *producer, &place(&topic, 0), "before").unwrap();
    let large = vec![b'x'; setting.over_limit];
    let refused = producer.send(
        to,
        NewRecord { timestamp: Timestamp::from_millis(1), key: Some(b"key"), value: Some(&large), headers: &[] },
    );
    assert!(matches!(refused, Err(BrokerError::MessageTooLarge { size, .. }) if size >= large.len()));
    producer.send(to, value("after")).unwrap();
    setting.within("a flush", producer.flush()).await.unwrap();
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["before", "after"]);
}

/// Checks that a timestamp a day ahead of the broker's clock is refused for good. The producer goes
/// on, in a transaction or not, and nothing of the refused write is there.
pub async fn a_record_that_is_refused_for_good_is_told_so(setting: &Setting) {
    let topic = setting.topic(1).await;
    let ahead = SystemClock.now() + Duration::from_secs(24 * 60 * 60);
    let far = |text| NewRecord { timestamp: ahead, ..value(text) };

    let mut producer = setting.broker.producer().unwrap();
    let to = producer.destination(&place(&topic, 0)).unwrap();
    producer.send(to, far("far")).unwrap();
    let refused = setting.within("a flush", producer.flush()).await.unwrap_err();
    assert!(refused.refuses_a_record() && refused.to_string().contains(&*topic), "{refused}");
    producer.send(to, value("plain")).unwrap();
    setting.within("a flush", producer.flush()).await.unwrap();

    let mut producer = setting.transactional().await;
    producer.begin().unwrap();
    let to = send(&mut *producer, &place(&topic, 0), "beside").unwrap();
    producer.send(to, far("far")).unwrap();
    let refused = setting.within("a commit", producer.commit()).await.unwrap_err();
    assert!(refused.refuses_a_record() && refused.to_string().contains(&*topic), "{refused}");
    producer.begin().unwrap();
    send(&mut *producer, &place(&topic, 0), "in a transaction").unwrap();
    setting.within("a commit", producer.commit()).await.unwrap();
    assert_eq!(values(&setting.read_all(&topic, Isolation::ReadCommitted).await), ["plain", "in a transaction"]);
}

/// Checks that the same partition always gets the same destination, and another partition gets
/// another.
pub async fn a_partition_has_one_destination(setting: &Setting) {
    let topic = setting.topic(2).await;
    let mut producer = setting.broker.producer().unwrap();
    let first = producer.destination(&place(&topic, 0)).unwrap();
    let other = producer.destination(&place(&topic, 1)).unwrap();
    assert_ne!(first, other);
    assert_eq!(producer.destination(&place(&topic, 0)).unwrap(), first);
    assert_eq!(producer.destination(&place(&topic, 1)).unwrap(), other);
}

/// Checks the earliest and latest offsets, and the first record at or after a time.
pub async fn offsets_are_found_by_end_and_by_time(setting: &Setting) {
    let topic = setting.topic(2).await;
    let at = place(&topic, 0);
    assert_eq!(setting.offset(&at, OffsetSpec::Earliest).await, Offset::ZERO);
    assert_eq!(setting.offset(&at, OffsetSpec::Latest).await, Offset::ZERO);
    let mut producer = setting.broker.producer().unwrap();
    let to = producer.destination(&at).unwrap();
    for (number, millis) in [10, 20, 15, 30].into_iter().enumerate() {
        let timestamp = Timestamp::from_millis(1_700_000_000_000 + millis);
        producer.send(to, NewRecord { timestamp, ..value("x") }).unwrap();
        if number == 1 {
            setting.within("a flush", producer.flush()).await.unwrap();
        }
    }
    setting.within("a flush", producer.flush()).await.unwrap();
    let by_time = async |millis: i64| {
        setting.offset(&at, OffsetSpec::At(Timestamp::from_millis(1_700_000_000_000 + millis))).await.get()
    };
    assert_eq!(setting.offset(&at, OffsetSpec::Earliest).await, Offset::ZERO);
    assert_eq!(setting.offset(&at, OffsetSpec::Latest).await, Offset::new(4));
    assert_eq!(by_time(0).await, 0);
    assert_eq!(by_time(10).await, 0);
    assert_eq!(by_time(11).await, 1);
    assert_eq!(by_time(20).await, 1);
    assert_eq!(by_time(21).await, 3);
    assert_eq!(by_time(31).await, 4, "the end when there is none");
    let both = [at.partition, place(&topic, 1).partition];
    let offsets = setting.broker.offsets(&topic, &both, OffsetSpec::Latest).await.unwrap();
    assert_eq!(offsets, [Offset::new(4), Offset::ZERO], "in the order asked for");
}
