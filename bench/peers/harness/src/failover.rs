//! The failover job: the time until the partitions of a killed worker make progress again.

use std::time::{Duration, Instant};

use crate::feed::{Feed, Steady, touch};
use crate::figures::Figures;
use crate::gathering::Gathering;
use crate::kafka::{Cleanup, PARTITIONS};
use crate::outcome::{Outcome, Setback};
use crate::progress::{self, Progress};
use crate::team::Team;
use crate::trial::{LOOK, Trial};

/// The time for which the group must have both members before one is killed.
const SETTLED: Duration = Duration::from_secs(5);

/// The seed of the events.
const SEED: u64 = 7;

/// Kills one of two workers under a steady load. Measures the time until every partition has
/// committed an event that was sent after the kill.
pub(crate) fn run(trial: &Trial<'_>) -> Outcome {
    let (kafka, keys, rate) = (trial.kafka, trial.work.keys, trial.system().easy_rate());
    let inputs = [format!("{}-in", trial.group)];
    kafka.create(&inputs[0], PARTITIONS, Cleanup::Delete)?;
    let mut first = touch(kafka, &inputs[0], keys)?;
    let progress = Progress::of(kafka, &trial.group, &inputs)?;
    let worker = |number| trial.worker(number, 1, &trial.machine.cores(number, 1), &inputs, None);
    let mut team = Team::of(vec![worker(0)?, worker(1)?]);
    trial.wait_for(&mut team, &progress, &progress::ends(kafka, &inputs)?, "before all partitions were worked on")?;
    wait_for_members(trial, &mut team)?;
    let steady = Steady::start(kafka, &inputs[0], keys, SEED, rate)?;
    let killed = kill(trial, &mut team, &progress, &inputs);
    let sent = steady.stop()?;
    let seconds = killed?;
    first.extend(touch(kafka, &inputs[0], keys)?);
    trial.wait_for(&mut team, &progress, &progress::ends(kafka, &inputs)?, "before all was counted")?;
    team.stop()?;
    let over = trial.check(&[Feed::new(keys, SEED, sent)], &first)?;
    Ok(Figures { seconds: Some(seconds), sent_per_second: Some(rate as f64), over, ..Figures::default() })
}

fn kill(trial: &Trial<'_>, team: &mut Team, progress: &Progress, inputs: &[String]) -> Result<f64, Setback> {
    // Both workers process the load for a while.
    let begun = Instant::now();
    while begun.elapsed() < SETTLED {
        team.usage()?;
        std::thread::sleep(LOOK);
    }
    team.kill_first();
    let killed = Instant::now();
    let wanted = progress::ends(trial.kafka, inputs)?.into_iter().map(|(place, end)| (place, end + 1)).collect();
    let again = trial.wait_for(team, progress, &wanted, "before all partitions made progress again")?;
    Ok((again - killed).as_secs_f64())
}

/// Waits until the group has had two members, with all partitions assigned, for a while.
fn wait_for_members(trial: &Trial<'_>, team: &mut Team) -> Result<(), Setback> {
    let mut gathering = Gathering::of(trial.kafka, &trial.group, 2, SETTLED);
    while !gathering.is_over()? {
        team.usage()?;
        trial.check_patience("before the group had two members")?;
        std::thread::sleep(LOOK);
    }
    Ok(())
}
