//! The pages of a file: reading them, and noting that each has one use.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::header::Header;
use super::page::Page;
use crate::damage::{CheckError, Damage};

/// The pages of a file, and which of them are in use so far.
pub(super) struct Pages {
    file: File,
    pub(super) size: usize,
    /// The number of whole pages in the file.
    held: u64,
    last: u64,
    claimed: Vec<u64>,
    /// The pages in use beyond the end of the file. Free pages at the end need not be in the file.
    claimed_beyond: HashSet<u64>,
    count: u64,
}

/// The number of pages that are headers: the first two.
const HEADERS: u64 = 2;

impl Pages {
    pub(super) fn new(file: File, length: u64, header: &Header) -> Self {
        let held = length / header.page_size as u64;
        let words = held.min(header.last_page.saturating_add(1)).div_ceil(64);
        Self {
            file,
            size: header.page_size,
            held,
            last: header.last_page,
            claimed: vec![0; words as usize],
            claimed_beyond: HashSet::new(),
            count: HEADERS,
        }
    }

    /// Notes a use of `count` pages from `first` on. Refuses pages that are in use already.
    pub(super) fn claim(&mut self, first: u64, count: u64) -> Result<(), Damage> {
        let end = first.checked_add(count).filter(|end| first >= HEADERS && *end - 1 <= self.last);
        let end = end.ok_or_else(|| Damage::new(format!("it refers to a page {first} that it does not have")))?;
        for page in first..end {
            let word = usize::try_from(page / 64).ok().and_then(|word| self.claimed.get_mut(word));
            let is_new = match word {
                Some(word) => {
                    let before = *word;
                    *word |= 1 << (page % 64);
                    *word != before
                }
                None => self.claimed_beyond.insert(page),
            };
            if !is_new {
                return Err(Damage::new(format!("its page {page} is used twice")));
            }
        }
        self.count += count;
        Ok(())
    }

    /// Checks that each page was claimed, as one in use or as a free one.
    pub(super) fn check_all_claimed(&self) -> Result<(), Damage> {
        match self.last.checked_add(1) == Some(self.count) {
            true => Ok(()),
            false => Err(Damage::new(format!("of its {} pages {} are neither used nor free", self.last, self.count))),
        }
    }

    /// Claims a page of a tree and reads it.
    pub(super) fn take(&mut self, number: u64) -> Result<Page, CheckError> {
        self.claim(number, 1)?;
        let bytes = self.read(number, self.size)?;
        Ok(Page::parse(number, bytes)?)
    }

    /// Claims the pages of a long value of `length` bytes and reads it. Returns the value and its
    /// number of pages.
    pub(super) fn take_overflow(&mut self, number: u64, length: usize) -> Result<(Vec<u8>, u64), CheckError> {
        let least = Page::overflow_pages(length, self.size);
        self.check_held(number, least)?;
        let mut bytes = self.read(number, super::page::PAGE_HEADER + length)?;
        let count = Page::parse_overflow(number, &bytes)?;
        if count < least {
            return Err(Damage::new(format!("its page {number} is too short for what it holds")).into());
        }
        self.check_held(number, count)?;
        self.claim(number, count)?;
        bytes.drain(..super::page::PAGE_HEADER);
        Ok((bytes, count))
    }

    fn check_held(&self, first: u64, count: u64) -> Result<(), Damage> {
        match first.checked_add(count).is_some_and(|end| end <= self.held) {
            true => Ok(()),
            false => Err(Damage::new(format!("it is cut off: its page {first} is not in it"))),
        }
    }

    fn read(&self, number: u64, length: usize) -> Result<Vec<u8>, CheckError> {
        self.check_held(number, length.div_ceil(self.size) as u64)?;
        let mut bytes = vec![0; length];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(number * self.size as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
