//! Damages data folders at random, and classifies how a program reacts to each. Two outcomes must
//! never occur: wrong rows, and a process that ends without an error message.

mod base;
mod child;
mod mutation;
mod outcome;
mod program;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use marlowe_broker::{Entropy, SeededEntropy};

use crate::base::Base;
use crate::mutation::Mutation;
use crate::outcome::Outcome;

#[derive(Parser)]
#[command(name = "cargo xtask damage", about = "Damage data folders, and tell what a program makes of them")]
struct Arguments {
    /// The number of folders to damage.
    #[arg(long, default_value_t = 500)]
    mutations: u64,
    /// The seed of the damage.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print each outcome.
    #[arg(long)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Open a folder and print its rows. The program runs this in another process, and watches it.
    #[command(hide = true)]
    Look { folder: PathBuf },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Look { folder }) = arguments.command {
        return program::look(&folder);
    }
    match run(arguments.mutations, arguments.seed, arguments.verbose) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Damages the folders, and returns whether all outcomes were good.
fn run(mutations: u64, seed: u64, verbose: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let (base, other) = (Base::filled(0)?, Base::filled(1)?);
    let truth = child::rows_of(base.path()).map_err(|outcome| format!("the sound folder: {outcome:?}"))?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut is_good = true;
    for number in 0..mutations {
        let random = SeededEntropy::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        let below = |bound: u64| random.next() % bound.max(1);
        let folder = base.copy()?;
        let mutation = Mutation::draw(folder.path(), other.path(), &below)?;
        mutation.apply(folder.path(), other.path())?;
        let outcome = child::outcome_in(folder.path(), &truth);
        *counts.entry(outcome.name()).or_default() += 1;
        if verbose || outcome.is_bad() {
            println!("{number:>5}  {mutation}: {outcome}");
        }
        is_good &= !outcome.is_bad();
    }
    let told: Vec<String> =
        Outcome::NAMES.iter().map(|name| format!("{name} {}", counts.get(name).copied().unwrap_or_default())).collect();
    println!("{mutations} folders damaged, seed {seed}: {}", told.join(", "));
    Ok(is_good)
}
