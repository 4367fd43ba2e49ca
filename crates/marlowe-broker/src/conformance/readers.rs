//! Checks of readers, which read explicitly assigned partitions.

use std::collections::HashMap;
use std::time::Duration;

use super::Setting;
use super::exchange::{value, values};
use super::setting::place;
use crate::{BrokerError, Isolation, Offset, OffsetSpec, Reader, Source, TopicPartition};

impl Setting {
    async fn reader_of(&self, of: &TopicPartition, offset: u64) -> (Box<dyn Reader>, Source) {
        let mut reader = self.broker.reader(Isolation::ReadCommitted).unwrap();
        let source = reader.assign(of, Offset::new(offset)).unwrap();
        (reader, source)
    }

    /// Returns the values of one poll by source, or `None` when nothing comes for half a session.
    async fn poll(&self, reader: &mut dyn Reader) -> Option<HashMap<Source, Vec<String>>> {
        let fetched = tokio::time::timeout(self.session_timeout / 2, reader.poll()).await.ok()?;
        let mut polled: HashMap<Source, Vec<String>> = HashMap::new();
        for fetched in fetched.expect("records can be read") {
            let batch = fetched.batch;
            let texts = (0..batch.len()).map(|index| batch.get(index).value.unwrap_or_default());
            let texts = texts.map(|text| String::from_utf8_lossy(text).into_owned());
            polled.entry(fetched.source).or_default().extend(texts);
        }
        Some(polled)
    }

    /// Polls until `count` values of `source` have come, and returns them.
    async fn poll_values(&self, reader: &mut dyn Reader, source: Source, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        self.until("the values come", async || {
            let polled = self.poll(reader).await.unwrap_or_default();
            for (from, texts) in polled {
                assert_eq!(from, source, "only this source has something");
                all.extend(texts);
            }
            all.len() >= count
        })
        .await;
        all
    }
}

/// Checks that reading can begin at any offset, also in the middle of a batch.
pub async fn reading_begins_at_the_offset_asked_for(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    setting.produce(&at, &["0", "1", "2", "3", "4"]).await;
    for start in 0..5u64 {
        let mut reader = setting.broker.reader(Isolation::ReadCommitted).unwrap();
        reader.assign(&at, Offset::new(start)).unwrap();
        let read = setting.read_to(&mut *reader, 0, Offset::new(start), Offset::new(5)).await;
        let expected: Vec<String> = (start..5).map(|number| number.to_string()).collect();
        assert_eq!(values(&read), expected);
        assert_eq!(read[0].offset, Offset::new(start));
    }
}

/// Checks that reading all records ends after every marker, so that comparing positions shows that
/// all was read.
pub async fn reading_all_ends_at_the_latest_offset(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    let mut producer = setting.broker.transactional_producer(&setting.name("id")).await.unwrap();
    let to = producer.destination(&at).unwrap();
    for text in ["a", "b", "c"] {
        producer.begin().unwrap();
        producer.send(to, value(text)).unwrap();
        setting.within("a commit", producer.commit()).await.unwrap();
    }
    let end = setting.offset(&at, OffsetSpec::Latest).await;
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        let mut reader = setting.broker.reader(isolation).unwrap();
        reader.assign(&at, Offset::ZERO).unwrap();
        // `read_to` ends only when a batch's `next_offset` has reached `end`.
        let read = setting.read_to(&mut *reader, 0, Offset::ZERO, end).await;
        assert_eq!(values(&read), ["a", "b", "c"]);
    }
}

/// Checks that a paused source returns nothing, skips nothing afterwards, and does not hold up
/// other sources.
pub async fn a_paused_source_keeps_its_place(setting: &Setting) {
    let topic = setting.topic(2).await;
    setting.produce(&place(&topic, 0), &["a", "b"]).await;
    let (mut reader, paused) = setting.reader_of(&place(&topic, 0), 0).await;
    let other = reader.assign(&place(&topic, 1), Offset::ZERO).unwrap();
    assert_eq!(setting.poll_values(&mut *reader, paused, 2).await, ["a", "b"]);
    reader.pause(paused);
    reader.pause(paused);
    setting.produce(&place(&topic, 0), &["c"]).await;
    assert_eq!(setting.poll(&mut *reader).await, None, "a paused source is silent");
    setting.produce(&place(&topic, 1), &["x"]).await;
    assert_eq!(setting.poll_values(&mut *reader, other, 1).await, ["x"]);
    reader.resume(paused);
    reader.resume(paused);
    assert_eq!(setting.poll_values(&mut *reader, paused, 1).await, ["c"]);
}

/// Checks that assigning a source again moves it forwards or backwards, and that it keeps its
/// number.
pub async fn a_source_can_be_moved(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    setting.produce(&at, &["a", "b", "c"]).await;
    let (mut reader, source) = setting.reader_of(&at, 0).await;
    assert_eq!(setting.poll_values(&mut *reader, source, 3).await, ["a", "b", "c"]);
    assert_eq!(reader.assign(&at, Offset::new(1)).unwrap(), source);
    assert_eq!(setting.poll_values(&mut *reader, source, 2).await, ["b", "c"]);
    reader.assign(&at, Offset::new(0)).unwrap();
    reader.assign(&at, Offset::new(2)).unwrap();
    assert_eq!(setting.poll_values(&mut *reader, source, 1).await, ["c"], "nothing of the earlier position");
}

/// Checks that an unassigned source returns nothing more.
pub async fn an_unassigned_source_is_silent(setting: &Setting) {
    let topic = setting.topic(2).await;
    setting.produce(&place(&topic, 0), &["a"]).await;
    let (mut reader, source) = setting.reader_of(&place(&topic, 0), 0).await;
    reader.unassign(source);
    assert_eq!(setting.poll(&mut *reader).await, None);
    let other = reader.assign(&place(&topic, 1), Offset::ZERO).unwrap();
    setting.produce(&place(&topic, 0), &["b"]).await;
    setting.produce(&place(&topic, 1), &["x"]).await;
    assert_eq!(setting.poll_values(&mut *reader, other, 1).await, ["x"]);
    let again = reader.assign(&place(&topic, 0), Offset::new(1)).unwrap();
    assert_eq!(setting.poll_values(&mut *reader, again, 1).await, ["b"]);
}

/// Checks that the error names the bounds, that the source is unassigned, and that other sources
/// continue.
pub async fn an_offset_out_of_range_is_told_and_unassigned(setting: &Setting) {
    let topic = setting.topic(2).await;
    setting.produce(&place(&topic, 0), &["a", "b"]).await;
    let (mut reader, _) = setting.reader_of(&place(&topic, 0), 7).await;
    let told = setting.within("an error", reader.poll()).await;
    let Err(BrokerError::OffsetOutOfRange { partition, offset, start, end }) = told.map(drop) else {
        panic!("an offset after the end is out of range");
    };
    assert_eq!((partition, offset), (place(&topic, 0), Offset::new(7)));
    assert_eq!((start, end), (Offset::ZERO, Offset::new(2)));
    let other = reader.assign(&place(&topic, 1), Offset::ZERO).unwrap();
    setting.produce(&place(&topic, 1), &["x"]).await;
    assert_eq!(setting.poll_values(&mut *reader, other, 1).await, ["x"]);
    let again = reader.assign(&place(&topic, 0), Offset::new(2)).unwrap();
    setting.produce(&place(&topic, 0), &["c"]).await;
    assert_eq!(setting.poll_values(&mut *reader, again, 1).await, ["c"], "the end itself is in range");
}

/// Checks that a short source is read before a long one is finished.
pub async fn sources_take_turns(setting: &Setting) {
    let topic = setting.topic(2).await;
    let mut producer = setting.broker.producer().unwrap();
    let long = producer.destination(&place(&topic, 0)).unwrap();
    let text = "x".repeat(1000);
    for _ in 0..50_000 {
        producer.send(long, value(&text)).unwrap();
    }
    setting.within("a flush", producer.flush()).await.unwrap();
    setting.produce(&place(&topic, 1), &["short"]).await;
    let (mut reader, long) = setting.reader_of(&place(&topic, 0), 0).await;
    let short = reader.assign(&place(&topic, 1), Offset::ZERO).unwrap();
    let (mut of_long, mut of_short) = (0, 0);
    while of_short == 0 {
        for fetched in setting.within("records", reader.poll()).await.unwrap() {
            of_long += if fetched.source == long { fetched.batch.len() } else { 0 };
            of_short += if fetched.source == short { fetched.batch.len() } else { 0 };
        }
        assert!(of_long < 50_000 || of_short > 0, "the short source was starved");
    }
    while of_long < 50_000 {
        let fetched = setting.within("records", reader.poll()).await.unwrap();
        of_long += fetched.iter().map(|fetched| fetched.batch.len()).sum::<usize>();
    }
    assert_eq!(of_long, 50_000);
}

/// Checks that no record is lost when polls are dropped again and again.
pub async fn a_dropped_poll_loses_nothing(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    let (mut reader, source) = setting.reader_of(&at, 0).await;
    let mut all = Vec::new();
    for number in 0..20 {
        let _ = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
        drop(reader.poll());
        setting.produce(&at, &[&number.to_string()]).await;
        if let Ok(fetched) = tokio::time::timeout(Duration::from_millis(number % 3), reader.poll()).await {
            for fetched in fetched.unwrap() {
                let batch = fetched.batch;
                let texts = (0..batch.len()).map(|index| batch.get(index).value.unwrap_or_default().to_vec());
                all.extend(texts.map(|text| String::from_utf8(text).unwrap()));
            }
        }
    }
    if all.len() < 20 {
        let missing = 20 - all.len();
        all.extend(setting.poll_values(&mut *reader, source, missing).await);
    }
    assert_eq!(all, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// Checks that a record that arrives while a reader waits wakes it, also after its source was
/// paused and resumed.
pub async fn a_waiting_reader_is_woken(setting: &Setting) {
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    let (mut reader, source) = setting.reader_of(&at, 0).await;
    reader.pause(source);
    reader.resume(source);
    let late = async {
        setting.a_while().await;
        setting.produce(&at, &["late"]).await;
    };
    let (fetched, ()) = tokio::join!(setting.within("a record", reader.poll()), late);
    assert_eq!(fetched.unwrap()[0].batch.get(0).value, Some(&b"late"[..]));
}

/// Checks that each record of a source comes once and in order if none comes for some seconds, and
/// many come then.
pub async fn a_source_is_quiet_and_then_busy(setting: &Setting) {
    /// Longer than it takes a broker to find a source quiet.
    const QUIET: Duration = Duration::from_secs(2);
    let topic = setting.topic(1).await;
    let at = place(&topic, 0);
    let (mut reader, source) = setting.reader_of(&at, 0).await;
    let mut sent = 0;
    for count in [1, 1, 5_000, 1] {
        let texts: Vec<String> = (sent..sent + count).map(|number| number.to_string()).collect();
        sent += count;
        setting.produce(&at, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(setting.poll_values(&mut *reader, source, count).await, texts);
        let more = tokio::time::timeout(QUIET, setting.poll_values(&mut *reader, source, 1)).await;
        assert!(more.is_err(), "more came: {more:?}");
    }
}
