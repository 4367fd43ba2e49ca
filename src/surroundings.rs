/// What a process runs in.
#[derive(Clone, Default)]
pub(crate) enum Surroundings {
    /// This machine: the system's threads, and a network.
    #[default]
    System,
    /// A simulation, in which it is one process of many.
    #[cfg(feature = "sim")]
    Simulated(std::sync::Arc<crate::sim::Process>),
}

impl Surroundings {
    /// How many threads may be at work at a time.
    pub(crate) fn cores(&self) -> usize {
        match self {
            Self::System => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            #[cfg(feature = "sim")]
            Self::Simulated(_) => 2,
        }
    }
}
