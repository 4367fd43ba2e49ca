//! Opening a store: which of the folder's data may be used, and what is kept under another layout.

use std::path::Path;

use heed::{RwTxn, WithoutTls};
use marlowe_lmdb::{CheckError, Content, Damage, SealedTable};

use super::LmdbOptions;
use super::environment::{Environment, Opened};
use super::failure::is_damage;
use super::folder::Folder;
use super::meta::{META, Meta};
use super::migration::Migration;
use super::state_file::State;
use crate::{SlicePosition, StoreError, StoreLayout};

/// The most tables that a store may have to be opened with another layout. A store with more is
/// rebuilt.
const OLD_TABLES: usize = 256;

/// An open environment and its tables, in the order of the layout.
pub(super) struct Tables {
    pub(super) environment: Environment,
    pub(super) meta: Meta,
    pub(super) tables: Vec<SealedTable>,
    pub(super) positions: Vec<SlicePosition>,
}

pub(super) fn open(path: &Path, layout: &StoreLayout, options: &LmdbOptions) -> Result<Tables, StoreError> {
    let folder = Folder::take(path)?;
    let state = State::read(path).map_err(|error| StoreError::io("read the store's state file", path, &error))?;
    let state = state.filter(|state| state.is_trusted(options.boot_id.as_deref()));
    match state {
        Some(_) => folder.forget_readers()?,
        None => folder.wipe()?,
    }
    let (environment, old) = match read(folder, state.as_ref(), layout, options)? {
        Found::Usable(environment, old) => (environment, old),
        Found::Useless(folder, why) => {
            // No data is lost, because the changelog has everything.
            match why {
                Why::OtherFormat => folder.wipe()?,
                Why::Damaged(damage) => {
                    let aside = folder.set_aside()?;
                    tracing::warn!(
                        "the store in {} is damaged: {damage}. It is restored from the changelog; the damaged file is {}",
                        path.display(),
                        aside.display()
                    );
                }
            }
            match read(folder, None, layout, options)? {
                Found::Usable(environment, old) => (environment, old),
                Found::Useless(..) => {
                    let reason =
                        "what was written cannot be read back: the disk may be failing; choose another data folder";
                    let (action, path) = ("make a new database", path.to_owned());
                    return Err(StoreError::Storage { action, path, reason: reason.to_owned() });
                }
            }
        }
    };
    match old {
        Some(old) if old == *layout => at_hand(environment, layout),
        old => migrate(environment, old.as_ref(), layout, options.owner.as_deref()),
    }
}

/// The content of a folder.
enum Found {
    /// A store, and the layout that it was made with. A new store has no layout yet.
    Usable(Environment, Option<StoreLayout>),
    Useless(Folder, Why),
}

/// The reason why the data cannot be used.
enum Why {
    OtherFormat,
    Damaged(String),
}

fn read(
    folder: Folder,
    state: Option<&State>,
    layout: &StoreLayout,
    options: &LmdbOptions,
) -> Result<Found, StoreError> {
    let content = match checked(&folder)? {
        Ok(content) => content,
        Err(damage) => return Ok(Found::Useless(folder, Why::Damaged(damage.to_string()))),
    };
    let databases = (1 + layout.tables.len() + OLD_TABLES) as u32;
    let environment = match Environment::open(folder, state, databases, options)? {
        Opened::Usable(environment) => environment,
        Opened::Damaged(folder) => {
            return Ok(Found::Useless(folder, Why::Damaged("it is not a database of Marlowe".into())));
        }
    };
    let env = environment.env();
    let about = env.read_txn().and_then(|txn| match SealedTable::open(env, &txn, META)? {
        Some(meta) => Ok(Some((Meta(meta).layout(&txn)?, Meta(meta).owner(&txn)?))),
        None => Ok(None),
    });
    let about = match about {
        Ok(about) => about,
        Err(error) if is_damage(&error) => {
            return Ok(Found::Useless(environment.into_folder(), Why::Damaged(error.to_string())));
        }
        Err(error) => return Err(environment.error("read the store's layout", error)),
    };
    let Some((old, owner)) = about else {
        // A new store has no tables yet, because nothing was written to it.
        if content.tables.is_empty() {
            return Ok(Found::Usable(environment, None));
        }
        return Ok(Found::Useless(environment.into_folder(), Why::Damaged("its layout is missing".into())));
    };
    if let (Some(found), Some(wanted)) = (owner, &options.owner)
        && found != *wanted
    {
        let path = environment.into_folder().path().to_owned();
        return Err(StoreError::NotTheOwner { path, found, wanted: wanted.clone() });
    }
    let Some(old) = old.filter(|old| old.tables.len() <= OLD_TABLES || old == layout) else {
        return Ok(Found::Useless(environment.into_folder(), Why::OtherFormat));
    };
    match old.tables.iter().find(|table| !content.tables.contains(&table_name(table))) {
        None => Ok(Found::Usable(environment, Some(old))),
        Some(table) => {
            let damage = format!("its table `{table}` is missing");
            Ok(Found::Useless(environment.into_folder(), Why::Damaged(damage)))
        }
    }
}

/// Checks the folder's file. Returns its content, or the damage, which LMDB would not notice.
fn checked(folder: &Folder) -> Result<Result<Content, Damage>, StoreError> {
    match marlowe_lmdb::check(&folder.data()) {
        Ok(content) => Ok(Ok(content)),
        Err(CheckError::Damaged(damage)) => Ok(Err(damage)),
        // There is no file yet.
        Err(CheckError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ok(Content::default())),
        Err(CheckError::Io(error)) => Err(StoreError::io("check the database", folder.path(), &error)),
    }
}

fn table_name(table: &str) -> String {
    format!("t/{table}")
}

/// Opens the tables of a store that has all of them. Nothing is written, so a clean store stays
/// clean until its first batch.
fn at_hand(environment: Environment, layout: &StoreLayout) -> Result<Tables, StoreError> {
    let env = environment.env();
    let open = || {
        let txn = env.read_txn()?;
        let find = |name: &str| SealedTable::open(env, &txn, name)?.ok_or(heed::Error::Mdb(heed::MdbError::Corrupted));
        let meta = Meta(find(META)?);
        let tables = layout.tables.iter().map(|table| find(&table_name(table))).collect::<heed::Result<Vec<_>>>()?;
        let positions = (0..layout.slots).map(|slot| meta.position(&txn, slot)).collect::<heed::Result<Vec<_>>>()?;
        // The handles stay valid only if the transaction that opened them is committed.
        txn.commit()?;
        Ok((meta, tables, positions))
    };
    let (meta, tables, positions) = open().map_err(|error| environment.error("open the store's tables", error))?;
    Ok(Tables { environment, meta, tables, positions })
}

/// Makes the tables of the layout, in a new store or in one with an old layout.
fn migrate(
    environment: Environment,
    old: Option<&StoreLayout>,
    layout: &StoreLayout,
    owner: Option<&str>,
) -> Result<Tables, StoreError> {
    let nothing = StoreLayout { tables: Vec::new(), slots: 0 };
    let old = old.unwrap_or(&nothing);
    // Dropped tables free at most all pages in use, and the list of free pages grows by them.
    let pages = environment.env().info().last_page_number as u64 / 64 + 2 * layout.tables.len() as u64 + 64;
    environment.write("make the store's tables", |_| Ok(pages), |txn| write(&environment, txn, old, layout, owner))?;
    at_hand(environment, layout)
}

fn write(
    environment: &Environment,
    txn: &mut RwTxn<'_>,
    old: &StoreLayout,
    layout: &StoreLayout,
    owner: Option<&str>,
) -> heed::Result<()> {
    let env: &heed::Env<WithoutTls> = environment.env();
    let meta = Meta(SealedTable::create(env, txn, META)?);
    let migration = Migration::between(old, layout);
    for table in &old.tables {
        if migration == Migration::Rebuild || !layout.tables.contains(table) {
            let dropped = SealedTable::create(env, txn, &table_name(table))?;
            dropped.clear(txn)?;
            meta.put_bytes(txn, table, 0)?;
        }
    }
    for table in &layout.tables {
        SealedTable::create(env, txn, &table_name(table))?;
    }
    let before = (0..old.slots).map(|slot| meta.position(txn, slot)).collect::<heed::Result<Vec<_>>>()?;
    let kept = |slot: u32| match &migration {
        Migration::Keep { positions } => positions[slot as usize].map(|old| before[old as usize]),
        Migration::Rebuild => None,
    };
    for slot in 0..layout.slots {
        meta.put_position(txn, slot, kept(slot).unwrap_or_default())?;
    }
    if let Some(owner) = owner {
        meta.put_owner(txn, owner)?;
    }
    meta.put_layout(txn, layout)
}
