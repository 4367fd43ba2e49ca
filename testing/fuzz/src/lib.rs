//! The fuzz targets for all code that reads bytes from outside, run by `cargo xtask fuzz`.
//!
//! The module `fuzzing` of each crate has the readers, and the properties that accepted inputs must
//! have. This crate has the list of targets, and the target that needs a file.

mod database;

/// A target, which can be fuzzed by itself.
pub struct Target {
    /// The name, which is also the name of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// A function that runs one input. It returns `None` if the readers refuse the input, and
    /// panics on a finding.
    pub run: fn(&[u8]) -> Option<()>,
    /// A function that returns inputs that are accepted, as Marlowe itself writes them.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "http", run: marlowe::fuzzing::http, seeds: marlowe::fuzzing::http_seeds },
    Target { name: "keys", run: marlowe::fuzzing::keys, seeds: marlowe::fuzzing::keys_seeds },
    Target { name: "peers", run: marlowe::fuzzing::peers, seeds: marlowe::fuzzing::peers_seeds },
    Target { name: "directory", run: marlowe::fuzzing::directory, seeds: marlowe::fuzzing::directory_seeds },
    Target { name: "changelog", run: marlowe::fuzzing::changelog, seeds: marlowe::fuzzing::changelog_seeds },
    Target { name: "checkpoint", run: checkpoint, seeds: checkpoint_seeds },
    Target { name: "broker", run: marlowe_embedded::fuzzing::folder, seeds: marlowe_embedded::fuzzing::folder_seeds },
    Target { name: "database", run: database::run, seeds: database::seeds },
];

/// Finds a target by its name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

type Part = (fn(&[u8]) -> Option<()>, fn() -> Vec<Vec<u8>>);

/// The parts of the target `checkpoint`: notes of how far the work has come, and both kinds of
/// stores that keep them. The first byte of an input selects the part.
const CHECKPOINTS: [Part; 4] = [
    (marlowe::fuzzing::places, marlowe::fuzzing::places_seeds),
    (marlowe::fuzzing::timers, marlowe::fuzzing::timers_seeds),
    (marlowe_state::fuzzing::store_notes, marlowe_state::fuzzing::store_notes_seeds),
    (marlowe_state::fuzzing::stores, marlowe_state::fuzzing::stores_seeds),
];

fn checkpoint(input: &[u8]) -> Option<()> {
    let (part, input) = input.split_first()?;
    let (run, _) = CHECKPOINTS.get(usize::from(part.checked_sub(b'0')?))?;
    run(input)
}

fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let seeds_of = |(part, (_, seeds)): (u8, Part)| seeds().into_iter().map(move |seed| [&[part], &seed[..]].concat());
    (b'0'..).zip(CHECKPOINTS).flat_map(seeds_of).collect()
}
