/// What may go wrong while a simulation is [disturbed](super::Simulation::disturb).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Workers crash, and come back some time later.
    pub crashes: bool,
    /// Of those that crash, some come back without what they had stored.
    pub lost_stores: bool,
    /// Workers stand still, for longer than their session too, and go on as if nothing had been.
    pub pauses: bool,
    /// Workers stop as they should, and come back.
    pub rebalances: bool,
    /// The network delays and reorders what it carries, loses it, or loses the answer.
    pub network: bool,
    /// The broker is away for some time.
    pub broker: bool,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self =
        Self { crashes: false, lost_stores: false, pauses: false, rebalances: false, network: false, broker: false };
    /// Workers crash, with their stores and without.
    pub const CRASHES: Self = Self { crashes: true, lost_stores: true, ..Self::NONE };
    /// Workers stand still.
    pub const PAUSES: Self = Self { pauses: true, ..Self::NONE };
    /// Workers stop and start.
    pub const REBALANCES: Self = Self { rebalances: true, ..Self::NONE };
    /// The network and the broker are unreliable.
    pub const NETWORK: Self = Self { network: true, broker: true, ..Self::NONE };
    /// Everything goes wrong.
    pub const ALL: Self =
        Self { crashes: true, lost_stores: true, pauses: true, rebalances: true, network: true, broker: true };
}
