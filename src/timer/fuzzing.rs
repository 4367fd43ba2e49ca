//! The functions that fuzz the notes of timers and sources.

use marlowe_broker::Timestamp;

use super::claims::{MOST_BYTES, parse, text};
use super::source_log;

/// Runs the check that the first byte chooses: `c` reads claims of crontabs, and `s` reads the
/// position of a source.
pub fn timers(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'c' => {
            let (now, note) = bytes.split_first_chunk::<8>()?;
            let now = Timestamp::from_millis(i64::from_le_bytes(*now));
            let claims = parse(std::str::from_utf8(note).ok()?);
            let far_ahead = claims.values().filter(|claim| claim.is_far_ahead(now)).count();
            let written = text(claims.clone());
            let read = parse(&written);
            assert!(written.len() <= MOST_BYTES && read.iter().all(|(crontab, claim)| claims[crontab] == *claim));
            assert!(read == claims || written.len() > MOST_BYTES - 64, "what fits is written");
            (!claims.is_empty() && far_ahead <= claims.len()).then_some(())
        }
        b's' => {
            let position = source_log::number(bytes)?;
            assert_eq!(source_log::number(position.to_string().as_bytes()), Some(position));
            Some(())
        }
        _ => None,
    }
}

/// Returns valid inputs.
pub fn timers_seeds() -> Vec<Vec<u8>> {
    vec![
        b"c\0\0\0\0\0\x01\0\x000000002a=1800000000@0000002b;811c9dc5=-5@ffffffff;".to_vec(),
        b"s18446744073709551615".to_vec(),
    ]
}
