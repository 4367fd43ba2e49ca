//! The restore job: the time until a system that has lost its table counts again.

use std::time::Instant;

use crate::changelog::{self, made_count};
use crate::counts::{Counts, Key};
use crate::event::Event;
use crate::feed::touch;
use crate::figures::Figures;
use crate::kafka::{Cleanup, PARTITIONS};
use crate::outcome::{Outcome, Setback};
use crate::progress::{self, Progress};
use crate::trial::Trial;
use crate::work::{Guarantee, Job};

/// Starts a system without its table but with its changelog. Measures the time until it has counted
/// an event in every partition. Systems that restore rows on demand are thus measured by the same
/// standard.
pub(crate) fn run(trial: &Trial<'_>) -> Outcome {
    let (kafka, system, keys) = (trial.kafka, trial.system(), trial.work.keys);
    let inputs = [format!("{}-in", trial.group)];
    kafka.create(&inputs[0], PARTITIONS, Cleanup::Delete)?;
    // The changelog that is made below already contains these events.
    touch(kafka, &inputs[0], keys)?;
    let progress = Progress::of(kafka, &trial.group, &inputs)?;
    progress.set(&progress::ends(kafka, &inputs)?)?;
    let changelog = system.changelog(&trial.group, &inputs[0]);
    changelog::make(kafka, system, &changelog, keys)?;
    let made = kafka.ends(&changelog)?.into_iter().min().unwrap_or_default();

    let begun = Instant::now();
    let mut team = trial.start(&inputs, None)?;
    let before = team.usage()?.cpu_seconds;
    let sent = touch(kafka, &inputs[0], keys)?;
    let wanted = progress::ends(kafka, &inputs)?;
    let restored = trial.wait_for(&mut team, &progress, &wanted, "before the table was restored")?;
    let cpu_seconds = team.usage()?.cpu_seconds - before;
    let (peak_memory, peak_resident) = team.peak_mb();
    team.stop()?;

    let mut counts = Counts::default();
    // Reads the records that the system wrote after the made ones. It also reads some of the made
    // ones.
    changelog::read_from(kafka, system, &changelog, Job::Restore, |_| made, &mut counts)?;
    let mut over = 0;
    for event in &sent {
        let key = Event::page_key(event.page);
        let events = sent.iter().filter(|other| other.page == event.page).count() as u64;
        let (should, is) = (made_count(event.page) + events, counts.get(Key::Page(event.page)));
        over += is.saturating_sub(should);
        if is < should || (is > should && trial.work.guarantee == Guarantee::ExactlyOnce) {
            return Err(Setback::Wrong(format!("after the restore {key} is {is} instead of {should}")));
        }
    }
    Ok(Figures {
        seconds: Some((restored - begun).as_secs_f64()),
        cpu_seconds_per_million: Some(cpu_seconds / keys as f64 * 1e6),
        peak_memory_mb: Some(peak_memory),
        peak_resident_mb: Some(peak_resident),
        over,
        ..Figures::default()
    })
}
