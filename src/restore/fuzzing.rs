//! The functions that fuzz the readers of changelogs and of the list of an app's topics.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arbitrary::Unstructured;
use marlowe_broker::{Header, Offset, Partition, RecordBatch, RecordRef, Source, SystemClock, Timestamp};
use marlowe_state::{
    KeyRange, MAX_KEY_BYTES, MemoryStore, PositionSlot, SlicePosition, Store, StoreLayout, TableIndex,
};

use super::buffer::{ChangelogRange, RestoreBuffer, read_number};
use crate::codec::Json;
use crate::config::TombstoneRetention;
use crate::prepare::OwnedTopics;
use crate::table::{AnyTable, ChangelogKey, INBOX_HEADER, TableDeclaration};
use crate::topology::TableKind;

/// Reads what the first byte says: the key of a record, the number in its header, an app's list of
/// topics, or a changelog's key in JSON as Faust writes it. Or it restores a table from records.
pub fn changelog(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'k' => key(bytes),
        b'n' => {
            let number = read_number(bytes)?;
            assert_eq!(read_number(number.to_string().as_bytes()), Some(number));
            Some(())
        }
        b'o' => {
            let owned: OwnedTopics = serde_json::from_slice(bytes).ok()?;
            let written = serde_json::to_vec(&owned).expect("what was read is written");
            assert_eq!(serde_json::from_slice::<OwnedTopics>(&written).ok(), Some(owned), "what was written is read");
            Some(())
        }
        b'f' => faust_key(bytes),
        b'r' => restored(bytes),
        _ => None,
    }
}

/// Returns inputs that are accepted.
pub fn changelog_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"ktea".to_vec(),
        b"k\0marlowe-inbox".to_vec(),
        b"k\0marlowe\0\0marlowe-epoch".to_vec(),
        b"n300".to_vec(),
        br#"o{"topics":["app-stock-changelog"],"claimed":["app-stock-inbox"]}"#.to_vec(),
        br#"f["a",1]"#.to_vec(),
        br#"f"tea""#.to_vec(),
        b"f12".to_vec(),
    ];
    for table in 0..TABLES.len() as u8 {
        seeds.push(
            [b"r".as_slice(), &[table], b"\x01tea\x01\x0297\x01\x03300\x01some more, of which records are made"]
                .concat(),
        );
    }
    seeds
}

static TABLES: LazyLock<Vec<Box<dyn AnyTable>>> = LazyLock::new(|| {
    vec![
        Box::new(TableDeclaration::<String, u64>::new("app", "text", TableKind::Table, Json)),
        Box::new(TableDeclaration::<String, u64>::new("app", "copied", TableKind::Global, Json)),
        Box::new(TableDeclaration::<u64, u64>::new("app", "numbers", TableKind::Table, Json)),
        Box::new(TableDeclaration::<(String, i64), u64>::new("app", "pairs", TableKind::Global, Json)),
    ]
});

fn key(bytes: &[u8]) -> Option<()> {
    let mut room = Vec::new();
    let written = ChangelogKey::of_row(bytes, &mut room);
    assert_eq!(ChangelogKey::read(written), ChangelogKey::Row(bytes), "a row's key is read as it was written");
    match ChangelogKey::read(bytes) {
        ChangelogKey::Mark(mark) => assert_eq!(mark.key(), bytes),
        ChangelogKey::Row(row) => assert!(bytes.ends_with(row)),
    }
    Some(())
}

/// Reads a key in JSON, the form in which Faust writes keys.
fn faust_key(json: &[u8]) -> Option<()> {
    let json = serde_json::from_slice(json).ok()?;
    let mut taken = None;
    for table in TABLES.iter() {
        if let Ok(key) = table.key_from_json(&json) {
            let mut ordered = Vec::new();
            table.ordered_key(&key, &mut ordered).expect("what is a key decodes");
            table.key_json(&ordered).expect("what is a key is shown");
            taken = Some(());
        }
    }
    taken
}

type Drawn<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a [u8]>);

/// The records of a changelog. Each may have the header that names an inbox position.
struct Records<'a>(Vec<Drawn<'a>>);

impl RecordBatch for Records<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> RecordRef<'_> {
        let (key, value, _) = self.0[index];
        RecordRef { offset: Offset::new(index as u64), timestamp: Timestamp::default(), key, value }
    }

    fn headers(&self, index: usize) -> Vec<Header<'_>> {
        self.0[index].2.map(|inbox| Header::new(INBOX_HEADER, inbox)).into_iter().collect()
    }

    fn next_offset(&self) -> Offset {
        Offset::new(self.0.len() as u64)
    }

    fn size(&self) -> usize {
        0
    }
}

/// Checks that a restored table has the last row of each key that is valid.
fn restored(bytes: &[u8]) -> Option<()> {
    let (number, bytes) = bytes.split_first()?;
    let table: &'static dyn AnyTable = &**TABLES.get(usize::from(*number))?;
    let records = Records(Unstructured::new(bytes).arbitrary().ok()?);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(StoreLayout { tables: vec!["rows".into()], slots: 1 }));
    let (index, slot, source) = (TableIndex(0), PositionSlot(0), Source(0));
    let mut tail = RestoreBuffer::new(store.clone(), Arc::new(SystemClock));
    let log = ChangelogRange {
        table,
        index,
        slot,
        partition: Partition::new(0),
        from: Offset::ZERO,
        end: records.next_offset(),
        looked_at: Timestamp::default(),
        as_of: Timestamp::default(),
        retention: TombstoneRetention(TombstoneRetention::DEFAULT),
    };
    tail.add(source, log);
    tail.take(source, &records);
    assert!(tail.is_done());
    tail.write().expect("a store in memory takes rows");

    let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut inbox = 0;
    for (key, value, header) in &records.0 {
        let Some(ChangelogKey::Row(topic_key)) = key.map(ChangelogKey::read) else {
            continue;
        };
        inbox = header.and_then(read_number).unwrap_or_default().max(inbox);
        let mut ordered = Vec::new();
        if table.same_key_bytes() {
            ordered = topic_key.to_vec();
        } else if table.ordered_key(topic_key, &mut ordered).is_err() {
            continue;
        }
        if ordered.len() > MAX_KEY_BYTES {
            continue;
        }
        match value {
            Some(value) => drop(rows.insert(ordered, value.to_vec())),
            None => drop(rows.remove(&ordered)),
        }
    }
    let scan = store.scan(index, &KeyRange::all(), usize::MAX, slot).expect("a store in memory is scanned");
    let restored = scan.rows.iter().map(|(key, value)| (key.to_vec(), value.unwrap_or_default().to_vec()));
    assert!(restored.eq(rows));
    let SlicePosition { changelog, inbox: applied, .. } = store.position(slot);
    assert_eq!(changelog, records.next_offset());
    assert!(applied.get() >= inbox || table.identity().kind == TableKind::Table);
    Some(())
}
