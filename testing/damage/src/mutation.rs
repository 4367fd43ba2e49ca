//! The random damage of a folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::copy;

/// A way to damage a folder. Paths are relative to it.
#[derive(Debug)]
pub(crate) enum Mutation {
    Flip {
        file: PathBuf,
        byte: u64,
        bit: u8,
    },
    Truncate {
        file: PathBuf,
        length: u64,
    },
    Zero {
        file: PathBuf,
        from: u64,
        length: u64,
    },
    Swap {
        one: PathBuf,
        other: PathBuf,
    },
    Delete {
        path: PathBuf,
    },
    /// Something is replaced by its counterpart in another folder of the same app.
    Foreign {
        path: PathBuf,
    },
}

impl Mutation {
    /// Draws a mutation. `below` returns a random number below its argument.
    pub(crate) fn draw(folder: &Path, other: &Path, below: &dyn Fn(u64) -> u64) -> io::Result<Self> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        list(folder, Path::new(""), &mut files, &mut folders)?;
        let one_of = |paths: &[PathBuf]| paths[below(paths.len() as u64) as usize].clone();
        // In three of four cases, it is a file with data.
        let data: Vec<PathBuf> = files.iter().filter(|file| file.ends_with("data.mdb")).cloned().collect();
        let file = if below(4) > 0 { one_of(&data) } else { one_of(&files) };
        let length = fs::metadata(folder.join(&file))?.len();
        // Most of a store's file is unused.
        let used = if below(8) > 0 { used(&folder.join(&file))? } else { length };
        Ok(match below(6) {
            0 | 1 => Self::Flip { file, byte: below(used), bit: below(8) as u8 },
            2 => Self::Truncate { file, length: below(used) },
            3 => Self::Zero { file, from: below(used), length: 1 + below(8192) },
            4 => {
                let path = if below(2) == 0 { one_of(&folders) } else { one_of(&files) };
                match below(2) == 0 && other.join(&path).exists() {
                    true => Self::Foreign { path },
                    false => Self::Delete { path },
                }
            }
            _ => {
                let one = if below(2) == 0 { one_of(&data) } else { one_of(&folders) };
                let like: Vec<PathBuf> = match one.ends_with("data.mdb") {
                    true => data.iter().filter(|other| **other != one).cloned().collect(),
                    false => {
                        let beside = |other: &&PathBuf| other.parent() == one.parent() && **other != one;
                        folders.iter().filter(beside).cloned().collect()
                    }
                };
                match like.is_empty() {
                    true => Self::Delete { path: one },
                    false => Self::Swap { one, other: one_of(&like) },
                }
            }
        })
    }

    pub(crate) fn apply(&self, folder: &Path, other: &Path) -> io::Result<()> {
        let change = |file: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(folder.join(file))?;
            change(&mut bytes);
            fs::write(folder.join(file), bytes)
        };
        match self {
            Self::Flip { file, byte, bit } => change(file, &|bytes| {
                if let Some(byte) = bytes.get_mut(*byte as usize) {
                    *byte ^= 1 << bit;
                }
            }),
            Self::Truncate { file, length } => change(file, &|bytes| bytes.truncate(*length as usize)),
            Self::Zero { file, from, length } => change(file, &|bytes| {
                let end = bytes.len().min((from + length) as usize);
                bytes[(*from as usize).min(end)..end].fill(0);
            }),
            Self::Swap { one, other } => {
                let aside = folder.join("aside");
                fs::rename(folder.join(one), &aside)?;
                fs::rename(folder.join(other), folder.join(one))?;
                fs::rename(aside, folder.join(other))
            }
            Self::Delete { path } => delete(&folder.join(path)),
            Self::Foreign { path } => {
                delete(&folder.join(path))?;
                copy(&other.join(path), &folder.join(path))
            }
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { file, byte, bit } => write!(f, "flips bit {bit} of byte {byte} of {}", file.display()),
            Self::Truncate { file, length } => write!(f, "cuts {} off at {length}", file.display()),
            Self::Zero { file, from, length } => {
                write!(f, "writes {length} zeros at {from} of {}", file.display())
            }
            Self::Swap { one, other } => write!(f, "swaps {} and {}", one.display(), other.display()),
            Self::Delete { path } => write!(f, "deletes {}", path.display()),
            Self::Foreign { path } => write!(f, "puts another folder's {} there", path.display()),
        }
    }
}

fn delete(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Lists all files and folders below `at`, in order.
fn list(root: &Path, at: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(root.join(at))?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let path = at.join(name);
        if root.join(&path).is_dir() {
            folders.push(path.clone());
            list(root, &path, files, folders)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the length of the used part of a file, which ends with its last byte that is not zero.
fn used(file: &Path) -> io::Result<u64> {
    Ok(fs::read(file)?.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1))
}
