//! Runs one target under libFuzzer: `marlowe-fuzz --target=NAME`, then libFuzzer's own options and
//! folders, or the file of a finding.
//!
//! With `--seeds=FOLDER` it first writes the target's seeds to the folder. With `--list` it prints
//! the names of the targets.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use marlowe_fuzz::{TARGETS, Target, target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(init: prepare(), |input: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        (target.run)(input);
    }
});

fn prepare() {
    let of = |option: &str| std::env::args().find_map(|argument| argument.strip_prefix(option).map(str::to_owned));
    if of("--list").is_some() {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let Some(chosen) = of("--target=").and_then(|name| target(&name)) else {
        eprintln!("error: no such target; say one with --target=NAME, and --list tells their names");
        std::process::exit(2);
    };
    CHOSEN.get_or_init(|| chosen);
    if let Some(folder) = of("--seeds=") {
        for (number, seed) in (chosen.seeds)().into_iter().enumerate() {
            let file = format!("{folder}/seed-{number:02}");
            if let Err(error) = std::fs::write(&file, seed) {
                eprintln!("error: cannot write {file}: {error}");
                std::process::exit(2);
            }
        }
    }
}
