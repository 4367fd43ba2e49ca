/// What may go wrong while a simulation is [disturbed](super::simulation::Simulation::disturb).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Workers crash, and come back some time later.
    pub crashes: bool,
    /// Of those that crash, some come back without what they had stored.
    pub lost_stores: bool,
    /// Of those that crash, some do so since their machine loses power: of what their stores had not synced yet, parts are
    /// gone. Only where stores are [on disk](super::cluster::Cluster::on_disk).
    pub lost_power: bool,
    /// Workers stand still, for longer than their session too, and go on as if nothing had been.
    pub pauses: bool,
    /// Workers stop as they should, and come back.
    pub rebalances: bool,
    /// A worker's disk is slow for some time: what writes to a store there, or syncs one, stands still. Only where stores are
    /// [on disk](super::cluster::Cluster::on_disk).
    pub slow_disks: bool,
    /// The network delays and reorders what it carries, loses it, or loses the answer.
    pub network: bool,
    /// The broker is away for some time.
    pub broker: bool,
    /// The group's coordinator hands out positions of some time ago, as Kafka's may after its brokers were killed.
    pub old_positions: bool,
    /// Workers' clocks are set back and forward, also between a worker's end and its next start.
    pub clocks: bool,
}

impl Faults {
    /// Nothing goes wrong.
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
    /// Workers crash, with their stores, without, and with what of them was synced. Their clocks may be wrong.
    pub const CRASHES: Self = Self { crashes: true, lost_stores: true, lost_power: true, clocks: true, ..Self::NONE };
    /// Workers stand still, or wait for their disks.
    pub const PAUSES: Self = Self { pauses: true, slow_disks: true, ..Self::NONE };
    /// Workers stop and start.
    pub const REBALANCES: Self = Self { rebalances: true, ..Self::NONE };
    /// The network and the broker are unreliable.
    pub const NETWORK: Self = Self { network: true, broker: true, old_positions: true, ..Self::NONE };
    /// Everything goes wrong.
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
