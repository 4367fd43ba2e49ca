use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::header::Header;
use super::page::Page;
use crate::damage::{CheckError, Damage};

/// The pages of a file, each of which has one use.
pub(super) struct Pages {
    file: File,
    pub(super) size: usize,
    /// How many the file holds.
    held: u64,
    last: u64,
    claimed: Vec<u64>,
    /// Pages at the end may be free without being in the file.
    claimed_beyond: HashSet<u64>,
    count: u64,
}

/// The first two pages are the headers.
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

    /// Takes pages for one use, which must be their only one.
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

    /// Checks that each page is in use or free.
    pub(super) fn check_all_claimed(&self) -> Result<(), Damage> {
        match self.last.checked_add(1) == Some(self.count) {
            true => Ok(()),
            false => Err(Damage::new(format!("of its {} pages {} are neither used nor free", self.last, self.count))),
        }
    }

    /// Takes a page of a tree and reads it.
    pub(super) fn take(&mut self, number: u64) -> Result<Page, CheckError> {
        self.claim(number, 1)?;
        let bytes = self.read(number, self.size)?;
        Ok(Page::parse(number, bytes)?)
    }

    /// Takes the pages of a long value, which is `length` bytes long, and reads it. Returns how many pages it has, too.
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
