//! [`Faults`]: the kinds of faults that a simulation may have.

/// The faults that may occur while a simulation is
/// [disturbed](super::simulation::Simulation::disturb).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Workers crash, and come back after some time.
    pub crashes: bool,
    /// Some of the workers that crash come back without their stores.
    pub lost_stores: bool,
    /// Some of the workers that crash do so because their machine loses power: parts are gone of
    /// what their stores had not synced. Only if stores are [on
    /// disk](super::cluster::Cluster::on_disk).
    pub lost_power: bool,
    /// Workers stand still, at times for longer than their session, and go on as if nothing had
    /// happened.
    pub pauses: bool,
    /// Workers stop cleanly, and come back.
    pub rebalances: bool,
    /// A worker's disk is slow for some time: code that writes to a store there, or syncs one,
    /// stands still. Only if stores are [on disk](super::cluster::Cluster::on_disk).
    pub slow_disks: bool,
    /// The network delays, reorders and loses messages, and loses answers.
    pub network: bool,
    /// The broker is away for some time.
    pub broker: bool,
    /// The group's coordinator hands out old positions, as Kafka's may after its brokers were
    /// killed.
    pub old_positions: bool,
    /// Workers' clocks are set back and forward, also while a worker is not running.
    pub clocks: bool,
}

impl Faults {
    /// No faults.
    pub const NONE: Self = Self {
        crashes: false,
        lost_stores: false,
        lost_power: false,
        pauses: false,
        rebalances: false,
        slow_disks: false,
        network: false,
        broker: false,
        old_positions: false,
        clocks: false,
    };
    /// Workers crash, with their stores, without them, and with only the synced part of them. Their
    /// clocks may be wrong.
    pub const CRASHES: Self = Self { crashes: true, lost_stores: true, lost_power: true, clocks: true, ..Self::NONE };
    /// Workers stand still, or wait for their disks.
    pub const PAUSES: Self = Self { pauses: true, slow_disks: true, ..Self::NONE };
    /// Workers stop and start.
    pub const REBALANCES: Self = Self { rebalances: true, ..Self::NONE };
    /// The network and the broker are unreliable.
    pub const NETWORK: Self = Self { network: true, broker: true, old_positions: true, ..Self::NONE };
    /// All faults.
    pub const ALL: Self = Self {
        crashes: true,
        lost_stores: true,
        lost_power: true,
        pauses: true,
        rebalances: true,
        slow_disks: true,
        network: true,
        broker: true,
        old_positions: true,
        clocks: true,
    };
}
