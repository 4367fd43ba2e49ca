//! How a store is opened: what of the folder's data may be used, and what becomes of it under another layout.

use std::path::Path;

use heed::{RwTxn, WithoutTls};

use super::LmdbOptions;
use super::environment::{Bytewise, Environment, Opened};
use super::failure::is_damage;
use super::folder::Folder;
use super::meta::{META, Meta};
use super::migration::Migration;
use super::state_file::State;
use crate::{SlicePosition, StoreError, StoreLayout};

/// How many tables of an old layout can be dropped. Beyond that the store is rebuilt.
const OLD_TABLES: usize = 256;

/// An environment with its tables at hand, as the layout says.
pub(super) struct Tables {
    pub(super) environment: Environment,
    pub(super) meta: Meta,
    pub(super) tables: Vec<Bytewise>,
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
        Found::Useless(folder) => {
            // The changelog has everything.
            folder.wipe()?;
            match read(folder, None, layout, options)? {
                Found::Usable(environment, old) => (environment, old),
                Found::Useless(_) => {
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
        old => migrate(environment, old.as_ref(), layout),
    }
}

/// What is in a folder.
enum Found {
    /// A store, and the layout it was made with; a new one has none yet.
    Usable(Environment, Option<StoreLayout>),
    /// Something damaged, or of another format.
    Useless(Folder),
}

fn read(
    folder: Folder,
    state: Option<&State>,
    layout: &StoreLayout,
    options: &LmdbOptions,
) -> Result<Found, StoreError> {
    let databases = (1 + layout.tables.len() + OLD_TABLES) as u32;
    let environment = match Environment::open(folder, state, databases, options)? {
        Opened::Usable(environment) => environment,
        Opened::Damaged(folder) => return Ok(Found::Useless(folder)),
    };
    let env = environment.env();
    let old = env.read_txn().and_then(|txn| match env.open_database(&txn, Some(META))? {
        Some(meta) => Ok(Some(Meta(meta).layout(&txn)?)),
        None => Ok(None),
    });
    Ok(match old {
        Ok(None) => Found::Usable(environment, None),
        Ok(Some(Some(old))) if old.tables.len() <= OLD_TABLES || old == *layout => {
            Found::Usable(environment, Some(old))
        }
        Ok(Some(_)) => Found::Useless(environment.into_folder()),
        Err(error) if is_damage(&error) => Found::Useless(environment.into_folder()),
        Err(error) => return Err(environment.error("read the store's layout", error)),
    })
}

fn table_name(table: &str) -> String {
    format!("t/{table}")
}

/// The tables of a store that has them all. Nothing is written: a clean store stays so until its first batch.
fn at_hand(environment: Environment, layout: &StoreLayout) -> Result<Tables, StoreError> {
    let env = environment.env();
    let open = || {
        let txn = env.read_txn()?;
        let find = |name: &str| env.open_database(&txn, Some(name))?.ok_or(heed::Error::Mdb(heed::MdbError::Corrupted));
        let meta = Meta(find(META)?);
        let tables = layout.tables.iter().map(|table| find(&table_name(table))).collect::<heed::Result<Vec<_>>>()?;
        let positions = (0..layout.slots).map(|slot| meta.position(&txn, slot)).collect::<heed::Result<Vec<_>>>()?;
        // The handles live on only if the transaction they were opened in is committed.
        txn.commit()?;
        Ok((meta, tables, positions))
    };
    let (meta, tables, positions) = open().map_err(|error| environment.error("open the store's tables", error))?;
    Ok(Tables { environment, meta, tables, positions })
}

/// Makes the tables, of nothing or of those of an old layout.
fn migrate(environment: Environment, old: Option<&StoreLayout>, layout: &StoreLayout) -> Result<Tables, StoreError> {
    let nothing = StoreLayout { tables: Vec::new(), slots: 0 };
    let old = old.unwrap_or(&nothing);
    // The number of pages in use, for the list of those that dropped tables leave free.
    let pages = environment.env().info().last_page_number as u64 / 64 + 2 * layout.tables.len() as u64 + 64;
    environment.write("make the store's tables", |_| Ok(pages), |txn| write(&environment, txn, old, layout))?;
    at_hand(environment, layout)
}

fn write(environment: &Environment, txn: &mut RwTxn<'_>, old: &StoreLayout, layout: &StoreLayout) -> heed::Result<()> {
    let env: &heed::Env<WithoutTls> = environment.env();
    let meta = Meta(env.create_database(txn, Some(META))?);
    let migration = Migration::between(old, layout);
    for table in &old.tables {
        if migration == Migration::Rebuild || !layout.tables.contains(table) {
            let dropped: Bytewise = env.create_database(txn, Some(&table_name(table)))?;
            dropped.clear(txn)?;
            meta.put_bytes(txn, table, 0)?;
        }
    }
    for table in &layout.tables {
        env.create_database::<heed::types::Bytes, heed::types::Bytes>(txn, Some(&table_name(table)))?;
    }
    let before = (0..old.slots).map(|slot| meta.position(txn, slot)).collect::<heed::Result<Vec<_>>>()?;
    let kept = |slot: u32| match &migration {
        Migration::Keep { positions } => positions[slot as usize].map(|old| before[old as usize]),
        Migration::Rebuild => None,
    };
    for slot in 0..layout.slots {
        meta.put_position(txn, slot, kept(slot).unwrap_or_default())?;
    }
    meta.put_layout(txn, layout)
}
