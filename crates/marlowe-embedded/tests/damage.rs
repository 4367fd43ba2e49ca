//! A folder that is damaged, moved or lost. It is refused with what was found, or it has
//! everything.

mod exchange;

use std::fs;
use std::path::Path;

use exchange::{place, produce, read};
use marlowe_broker::{Broker, BrokerError, CommittedOffset, Offset, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

fn open(folder: &Path, config: EmbeddedConfig) -> Result<EmbeddedBroker, BrokerError> {
    EmbeddedBroker::open(folder, config)
}

fn refused(opened: Result<EmbeddedBroker, BrokerError>) -> String {
    match opened {
        Ok(_) => panic!("it cannot be opened"),
        Err(error @ BrokerError::NotTheBroker { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
    }
}

/// Returns everything that the tests put into a broker.
async fn content(broker: &EmbeddedBroker) -> Vec<String> {
    let mut all = vec![format!("{:?}", broker.topics().await.unwrap())];
    for partition in 0..2 {
        all.extend(read(broker, &place("events", partition)).await.into_iter().map(|record| format!("{record:?}")));
    }
    let places = [place("events", 0), place("events", 1)];
    all.push(format!("{:?}", broker.committed("group", &places).await.unwrap()));
    all
}

#[tokio::test]
async fn a_damaged_folder_is_refused_or_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), EmbeddedConfig::default()).unwrap();
    broker.create_topic(TopicConfig::new("events", 2)).await.unwrap();
    let value = "v".repeat(2000);
    for number in 0..60 {
        let key = format!("key-{number}");
        produce(&broker, &place("events", number % 2), 5, &[(&key, Some(&value)), (&key, None)]).await.unwrap();
    }
    let committed: CommittedOffset = Offset::new(7).into();
    broker.commit_offsets("group", None, &[(place("events", 1), committed)]).await.unwrap();
    let sound = content(&broker).await;
    drop(broker);
    let data = folder.path().join("data.mdb");
    let bytes = fs::read(&data).unwrap();
    let (mut told, mut kept) = (0, 0);
    for number in 0..300 {
        let mut damaged = bytes.clone();
        let at = bytes.len() * number / 300;
        match number % 3 {
            0 => damaged.truncate(at),
            1 => damaged[at] ^= 1 << (number % 8),
            _ => damaged[at..][..256].fill(0),
        }
        fs::write(&data, &damaged).unwrap();
        match open(folder.path(), EmbeddedConfig::default()) {
            Ok(broker) => {
                assert_eq!(content(&broker).await, sound, "mutation {number}");
                kept += 1;
            }
            refusal => {
                let refusal = refused(refusal);
                assert!(refusal.contains("has a damaged data.mdb"), "{refusal}");
                assert!(fs::read(&data).unwrap() == damaged, "it is left as it is");
                told += 1;
            }
        }
    }
    assert!(told > 150 && kept > 0, "{told} refused, {kept} kept");
}

#[tokio::test]
async fn a_broker_that_should_be_there_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let id = open(&one, EmbeddedConfig::default()).unwrap().id().unwrap().to_owned();
    let other_id = open(&other, EmbeddedConfig::default()).unwrap().id().unwrap().to_owned();
    assert_ne!(id, other_id);
    let expecting = || EmbeddedConfig { expected_id: Some(id.clone()), ..EmbeddedConfig::default() };
    assert_eq!(open(&one, expecting()).unwrap().id(), Some(&*id));
    let told = refused(open(&other, expecting()));
    assert!(told.contains(&format!("holds broker {other_id}, but broker {id} is expected there")), "{told}");
    for lost in [folder.path().join("missing"), one] {
        if lost.exists() {
            fs::remove_file(lost.join("data.mdb")).unwrap();
        }
        let told = refused(open(&lost, expecting()));
        assert!(told.contains(&format!("holds no broker, but broker {id} is expected there")), "{told}");
        assert!(!lost.join("data.mdb").exists(), "none is made");
    }
}

#[test]
fn a_folder_of_another_owner_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |owner: &str| EmbeddedConfig { owner: Some(owner.to_owned()), ..EmbeddedConfig::default() };
    drop(open(folder.path(), of("app `a`")).unwrap());
    let told = refused(open(folder.path(), of("app `b`")));
    assert!(told.contains("belongs to app `a`, not to app `b`"), "{told}");
    drop(open(folder.path(), of("app `a`")).unwrap());
    drop(open(folder.path(), EmbeddedConfig::default()).unwrap());
}
