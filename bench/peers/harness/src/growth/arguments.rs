//! The command line of `cargo xtask bench growth`.

use clap::Args;

use super::curve::{Curve, Family, Point};
use crate::setting::Setting;
use crate::system::System;

/// Measures how the cost of an event in Marlowe grows with partitions, keys, agents and workers.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The curves to measure, separated by commas (default: all).
    #[arg(long, value_delimiter = ',')]
    curves: Vec<Family>,
    /// The sizes to measure on these curves, separated by commas, such as `1,1000` (default: all).
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<u64>,
    #[command(flatten)]
    pub(crate) setting: Setting,
}

impl Arguments {
    /// Returns the chosen points of all chosen curves, each once, in the order of the report.
    pub(crate) fn points(&self) -> Vec<Point> {
        let asks = |point: &Point| self.sizes.is_empty() || self.sizes.contains(&point.size);
        self.asked().flat_map(Curve::points).filter(asks).collect()
    }

    /// Returns the systems that the chosen curves need.
    pub(crate) fn systems(&self) -> Vec<System> {
        let takes = |system: &System| self.asked().any(|curve| curve.system() == *system);
        System::ALL.into_iter().filter(takes).collect()
    }

    fn asked(&self) -> impl Iterator<Item = Curve> {
        let asks = |curve: &Curve| self.curves.is_empty() || self.curves.contains(&curve.family());
        Curve::ALL.into_iter().filter(asks)
    }
}
