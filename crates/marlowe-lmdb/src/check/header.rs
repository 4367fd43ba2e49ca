//! The header of an LMDB file: it says how large pages are, how many there are, and where the trees
//! begin.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::page::PAGE_HEADER;
use super::tree_header::TreeHeader;
use crate::damage::{CheckError, Damage};

const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;
const META_PAGE: u16 = 0x08;
/// The flag of a tree whose keys are numbers: the list of free pages.
const INTEGER_KEYS: u16 = 0x08;

/// The length of a page's header and of the file's header after it, in bytes.
const META_LENGTH: usize = PAGE_HEADER + 136;

/// The header of a file: the newer of the headers in its first two pages.
pub(crate) struct Header {
    pub(crate) page_size: usize,
    pub(crate) free: TreeHeader,
    pub(crate) main: TreeHeader,
    pub(crate) last_page: u64,
    transaction: u64,
}

impl Header {
    pub(crate) fn read(file: &File, length: u64) -> Result<Self, CheckError> {
        let first = read_at(file, 0, length)?;
        let (page_size, first) = Self::parse(&first, 0)?;
        let second = read_at(file, page_size as u64, length)?;
        let (other_size, second) = Self::parse(&second, 1)?;
        if page_size != other_size {
            return Err(Damage::new("its two headers name different sizes of pages").into());
        }
        // LMDB writes the two headers in turn. In a new file both have transaction 0.
        let is_new = first.transaction == 0 && second.transaction == 0;
        let in_turn = first.transaction.abs_diff(second.transaction) == 1 && first.transaction.is_multiple_of(2);
        if !is_new && !in_turn {
            return Err(Damage::new("its two headers do not follow each other").into());
        }
        let newer = if first.transaction < second.transaction { second } else { first };
        if newer.free.flags != INTEGER_KEYS || newer.main.flags != 0 {
            return Err(Damage::new("its header names flags that Marlowe does not use").into());
        }
        Ok(newer)
    }

    fn parse(bytes: &[u8; META_LENGTH], number: u64) -> Result<(usize, Self), Damage> {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let tree = |at: usize| TreeHeader::parse(&std::array::from_fn(|byte| bytes[at + byte]));
        let flags = u16::from_le_bytes([bytes[10], bytes[11]]);
        let is_meta = long(0) == number && flags == META_PAGE;
        if !is_meta || word(PAGE_HEADER) != MAGIC || word(PAGE_HEADER + 4) != DATA_VERSION {
            return Err(Damage::new("it has no valid header, or it was not written by Marlowe"));
        }
        let page_size = word(PAGE_HEADER + 24) as usize;
        if !page_size.is_power_of_two() || !(1 << 9..=1 << 16).contains(&page_size) {
            return Err(Damage::new(format!("its header names pages of {page_size} bytes")));
        }
        let (free, main) = (tree(PAGE_HEADER + 24), tree(PAGE_HEADER + 24 + TreeHeader::LENGTH));
        let (last_page, transaction) = (long(PAGE_HEADER + 120), long(PAGE_HEADER + 128));
        Ok((page_size, Self { page_size, free, main, last_page, transaction }))
    }
}

fn read_at(mut file: &File, start: u64, length: u64) -> Result<[u8; META_LENGTH], CheckError> {
    if start + META_LENGTH as u64 > length {
        return Err(Damage::new(format!("it is cut off: it has {length} bytes, fewer than its headers")).into());
    }
    let mut bytes = [0; META_LENGTH];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
