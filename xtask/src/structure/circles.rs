//! Circles of files that import each other.

use std::collections::BTreeSet;

use super::imports::Imports;
use super::modules::FileId;

/// Returns each largest set of files that all import each other, directly or through others.
pub(super) fn find(imports: &Imports) -> Vec<Vec<FileId>> {
    let reached: Vec<BTreeSet<usize>> = (0..imports.files()).map(|from| reached_from(imports, from)).collect();
    let mut circles = Vec::new();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for file in 0..imports.files() {
        if !reached[file].contains(&file) || seen.contains(&file) {
            continue;
        }
        let circle: Vec<_> = reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        seen.extend(&circle);
        circles.push(circle.into_iter().map(FileId).collect());
    }
    circles
}

fn reached_from(imports: &Imports, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for (_, to, _) in imports.all().filter(|(importer, ..)| importer.0 == file) {
            if reached.insert(to.0) {
                waiting.push(to.0);
            }
        }
    }
    reached
}
