//! The jobs that are measured in events per second.

use std::time::{Duration, Instant};

use crate::PeersResult;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::gathering::Gathering;
use crate::outcome::{Outcome, Setback};
use crate::progress::{self, Places, Progress, is_past};
use crate::reads::Readers;
use crate::stretch::{Mark, Stretch};
use crate::system::System;
use crate::team::Team;
use crate::trial::{Begin, LOOK, Trial};
use crate::work::Job;

/// The time within which the timer, which fires every second, must write a sum.
const SUM_WITHIN: Duration = Duration::from_secs(10);

/// The time for which a group must have all its members. A group may seem settled while partitions
/// move.
const SETTLED: Duration = Duration::from_secs(1);

/// Measures a system that processes all events of `feeds`, in the topics `inputs`, as fast as it
/// can.
pub(crate) fn run(trial: &Trial<'_>, feeds: &[Feed], inputs: &[String]) -> Outcome {
    let port = (trial.work.job == Job::Serve).then(free_port).transpose()?;
    let wanted = progress::ends(trial.kafka, inputs)?;
    let progress = Progress::of(trial.kafka, &trial.group, inputs)?;
    let mut team = trial.start(inputs, port)?;
    let mut readers = port.map(|port| Readers::new(port, feeds[0].keys));
    let mut gathering = Gathering::of(trial.kafka, &trial.group, trial.processes.0, SETTLED);
    let mut has_begun = trial.begin == Begin::AtOnce;
    let mut stretch = Stretch::of(progress::sum(&wanted));
    loop {
        let (mark, places) = look(&mut team, &progress)?;
        if !has_begun {
            has_begun = match trial.begin {
                Begin::AtOnce => true,
                Begin::Gathered => gathering.is_over()?,
            };
            stretch.begin_after(mark.done);
        }
        if has_begun {
            stretch.note(mark);
        }
        if let Some(readers) = &mut readers {
            // Reads are measured in the same stretch as events.
            readers.let_read(stretch.is_running())?;
        }
        if is_past(&places, &wanted) {
            break;
        }
        trial.check_patience(&format!("with {} of {} events done", mark.done, progress::sum(&wanted)))?;
        std::thread::sleep(LOOK);
    }
    if trial.work.job.has_second_stage() {
        let mark = wait_for_second_stage(trial, &mut team, &progress)?;
        stretch.end(mark);
    }
    let reads = readers.map(|readers| readers.finish(feeds)).transpose()?;
    let (peak_memory, peak_resident) = team.peak_mb();
    if trial.work.job == Job::Shared {
        wait_for_a_sum(&team)?;
    }
    team.stop()?;
    let over = trial.check(feeds, &[])?;
    let (events_per_second, cpu) = stretch.figures().unzip();
    let mut figures = Figures {
        events_per_second,
        cpu_seconds_per_million: cpu,
        peak_memory_mb: Some(peak_memory),
        peak_resident_mb: Some(peak_resident),
        over,
        note: cpu.is_none().then(|| "all was done between two looks: too few events to see how fast".into()),
        ..Figures::default()
    };
    if let Some(reads) = reads {
        reads.tell(&mut figures);
    }
    Ok(figures)
}

fn look(team: &mut Team, progress: &Progress) -> Result<(Mark, Places), Setback> {
    let places = progress.now()?;
    let usage = team.usage()?;
    Ok((Mark { at: Instant::now(), done: progress::sum(&places), cpu_seconds: usage.cpu_seconds }, places))
}

/// Waits until the timer, which fires every second, has written a sum. A short run ends before
/// that.
fn wait_for_a_sum(team: &Team) -> Result<(), Setback> {
    let done = Instant::now();
    while done.elapsed() < SUM_WITHIN {
        if team.wrote("sum ")? {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(Setback::Wrong("its timer never wrote a sum".into()))
}

/// Waits until the topics between two stages are processed too.
fn wait_for_second_stage(trial: &Trial<'_>, team: &mut Team, input: &Progress) -> Result<Mark, Setback> {
    let mut between = trial.kafka.topics_of(&trial.group)?;
    between.retain(|topic| System::is_between(topic));
    // All input and all records made from it are committed, so no more records come.
    let wanted = progress::last_records(trial.kafka, &between)?;
    if !between.is_empty() {
        let progress = Progress::of(trial.kafka, &trial.group, &between)?;
        trial.wait_for(team, &progress, &wanted, "before all was through the second stage")?;
    }
    look(team, input).map(|(mark, _)| mark)
}

/// Returns a free port on loopback.
fn free_port() -> PeersResult<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
