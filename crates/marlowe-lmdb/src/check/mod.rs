//! The check of a whole LMDB file, which does not map the file into memory.
//!
//! The check follows the format of LMDB 0.9 (`mdb.c`, data version 1). It reads everything that a
//! snapshot reaches: every page, every key and every value. If a file passes,
//!
//! - LMDB does not read outside of a page or of the file,
//! - no page is used twice,
//! - keys are in order, and counts of pages and rows are right,
//! - values have their checksums.
//!
//! # The steps
//!
//! 1. `header` reads the file's header.
//! 2. `tree` walks the list of tables, which is a tree of pages.
//! 3. `tree` walks each table, and the checksum of each value is checked.
//! 4. `tree` walks the list of free pages.
//! 5. `pages` checks that each page is either in use or free. It has noted each use so far, and
//!    refuses a second use of a page.
//!
//! `page` and `node` parse single pages and the entries in them. Start reading at [`check`].

mod header;
mod node;
mod page;
mod pages;
mod tree;
mod tree_header;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use self::header::Header;
use self::pages::Pages;
use self::tree::{Order, Tree};
use crate::damage::{CheckError, Damage};
use crate::sealed_table;

/// The content of a file that passed its check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The names of its tables.
    pub tables: BTreeSet<String>,
}

/// Checks a file whose tables are all [`SealedTable`](crate::SealedTable)s. Nobody may have the
/// file open.
///
/// # Errors
/// [`CheckError::Damaged`] if the file is damaged, cut off, or not a file of LMDB.
/// [`CheckError::Io`] if it cannot be read.
pub fn check(path: &Path) -> Result<Content, CheckError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let header = Header::read(&file, length)?;
    let mut pages = Pages::new(file, length, &header);

    let mut main = Vec::new();
    Tree { pages: &mut pages, header: &header.main, order: Order::Bytes, what: "the list of tables" }.walk(
        &mut |row| {
            let name = String::from_utf8(row.key.to_vec());
            let name = name.map_err(|_| Damage::new("the name of a table is not UTF-8 text"))?;
            let tree = row.tree.filter(|tree| tree.flags == 0);
            let tree = tree.ok_or_else(|| Damage::new(format!("`{name}` is listed as a table, but is not one")))?;
            main.push((name, tree));
            Ok(())
        },
    )?;
    for (name, header) in &main {
        let what = format!("table `{name}`");
        Tree { pages: &mut pages, header, order: Order::Bytes, what: &what }.walk(
            &mut |row| match row.tree.is_none() && sealed_table::open(row.key, row.value).is_some() {
                true => Ok(()),
                false => Err(sealed_table::damaged(row.key)),
            },
        )?;
    }
    let mut free = Vec::new();
    Tree { pages: &mut pages, header: &header.free, order: Order::Numbers, what: "the list of free pages" }.walk(
        &mut |row| {
            free.extend(free_pages(row.value).ok_or_else(|| Damage::new("the list of free pages is not valid"))?);
            Ok(())
        },
    )?;
    for page in free {
        pages.claim(page, 1)?;
    }
    pages.check_all_claimed()?;
    Ok(Content { tables: main.into_iter().map(|(name, _)| name).collect() })
}

/// Returns the page numbers in an entry of the list of free pages, or `None` if the entry is
/// malformed. An entry is a count and then that many numbers, the highest first.
fn free_pages(entry: &[u8]) -> Option<Vec<u64>> {
    let (numbers, _) = entry.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let count = usize::try_from(numbers.next()?).ok()?;
    let free: Vec<u64> = numbers.take(count).collect();
    (free.len() == count && free.is_sorted_by(|before, after| before > after)).then_some(free)
}

#[cfg(test)]
mod tests;
