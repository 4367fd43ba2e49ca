//! Runs the kept corpus and the seeds as tests, on each machine and in each build, without
//! libFuzzer.

use std::path::Path;

use marlowe_fuzz::TARGETS;

#[test]
fn all_seeds_are_accepted() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            assert!((target.run)(&seed).is_some(), "{}: {}", target.name, seed.escape_ascii());
        }
    }
}

#[test]
fn the_kept_corpus_has_no_finding() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for file in files {
            let file = file.unwrap().path();
            println!("{}", file.display());
            (target.run)(&std::fs::read(file).unwrap());
        }
    }
}
