//! The floors of `marlowe`'s modules, as `ARCHITECTURE.md` lists them.

use std::collections::BTreeMap;

use super::imports::Imports;
use super::modules::{FileId, Modules};
use crate::TaskResult;

/// The floor of each module.
pub(super) struct Floors(BTreeMap<String, u32>);

impl Floors {
    /// Reads the rows of a table that begin with a number and modules:
    /// "| 3 | `marlowe::scope` | …". Modules that follow in the same row are named without
    /// `marlowe::`.
    ///
    /// # Errors
    /// If no module has a floor, or one has two.
    pub(super) fn read(text: &str) -> TaskResult<Self> {
        let mut floors = BTreeMap::new();
        for line in text.lines() {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (Some(floor), Some(modules)) = (cells.next(), cells.next()) else { continue };
            let Ok(floor) = floor.parse::<u32>() else { continue };
            let names = modules.split(',').map(|name| name.trim().trim_matches('`'));
            let mut is_marlowe = false;
            for name in names {
                let module = name.strip_prefix("marlowe::");
                is_marlowe |= module.is_some();
                if is_marlowe && floors.insert(module.unwrap_or(name).to_owned(), floor).is_some() {
                    return Err(format!("ARCHITECTURE.md lists the floor of `{name}` twice"));
                }
            }
        }
        if floors.is_empty() { Err("ARCHITECTURE.md has no table of floors".into()) } else { Ok(Self(floors)) }
    }

    /// Returns each import that does not go down, each module without a floor, and each floor
    /// without its module.
    pub(super) fn check(&self, modules: &Modules, imports: &Imports) -> Vec<String> {
        let floor = |file: FileId| {
            let path = modules.path(file);
            let module = top(&path).to_owned();
            self.0.get(&module).map(|floor| (path, module, *floor))
        };
        let mut faults = Vec::new();
        for (from, to, name) in imports.all() {
            if let (Some((from, inside, low)), Some((to, of, high))) = (floor(from), floor(to))
                && inside != of
                && low <= high
            {
                faults.push(format!("{from} (floor {low}) imports {name} of {to} (floor {high})"));
            }
        }
        let found: Vec<String> = modules.files().map(|(file, ..)| top(&modules.path(file)).to_owned()).collect();
        let mut lost: Vec<_> =
            found.iter().filter(|module| *module != "lib" && !self.0.contains_key(*module)).collect();
        lost.dedup();
        faults.extend(lost.into_iter().map(|module| format!("`{module}` has no floor in ARCHITECTURE.md")));
        let gone = self.0.keys().filter(|module| !found.contains(module));
        faults.extend(gone.map(|module| format!("ARCHITECTURE.md lists `{module}`, which is not there")));
        faults
    }
}

/// Returns the top module of a file.
fn top(path: &str) -> &str {
    path.split('/').next().map_or(path, |name| name.trim_end_matches(".rs"))
}
