//! Rule 9: no code asks the system for the time.

use std::path::Path;

use crate::scene::TestResult;

/// The files in which time and chance come from the system.
const DOORS: [&str; 1] = ["crates/marlowe-broker/src/clock.rs"];

#[test]
fn nothing_asks_the_system_for_the_time() -> TestResult {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let banned = std::fs::read_to_string(root.join("clippy.toml"))?;
    for call in ["std::time::SystemTime::now", "std::time::Instant::now", "std::thread::sleep"] {
        assert!(banned.contains(call), "clippy.toml does not forbid {call}");
    }
    let mut folders = vec![root.join("src"), root.join("crates")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                // The tests, benches and examples of a crate use the library and are not part of
                // it. `kafka-cluster` is for tests only.
                if !["tests", "benches", "examples", "target", "kafka-cluster"]
                    .iter()
                    .any(|other| path.ends_with(other))
                {
                    folders.push(path);
                }
                continue;
            }
            if !name.ends_with(".rs") || DOORS.contains(&name.as_str()) {
                continue;
            }
            looked_at += 1;
            let source = std::fs::read_to_string(&path)?;
            for call in ["SystemTime::now", "std::time::Instant", "thread::sleep", "rand::random", "thread_rng"] {
                assert!(!source.contains(call), "{name} uses {call}: time and chance come from `Clock` and `Entropy`");
            }
        }
    }
    assert!(looked_at > 100);
    Ok(())
}
