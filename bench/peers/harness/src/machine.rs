//! The machine on which everything is measured, and its cores.

use std::fmt;
use std::process::Command;
use std::thread::available_parallelism;

use procfs::Current;
use serde::Serialize;

use crate::PeersResult;

/// The machine on which everything is measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: f64,
    pub(crate) kernel: String,
}

impl Machine {
    /// Returns this machine.
    pub(crate) fn this() -> PeersResult<Self> {
        let cpus = procfs::CpuInfo::current()?;
        let kernel = procfs::sys::kernel::Version::current()?;
        Ok(Self {
            processor: cpus.model_name(0).unwrap_or("unknown").to_owned(),
            cores: available_parallelism()?.get(),
            memory_gb: procfs::Meminfo::current()?.mem_total as f64 / 1e9,
            kernel: format!("Linux {}.{}.{}", kernel.major, kernel.minor, kernel.patch),
        })
    }

    /// Returns `count` cores from `first` on, in the format of `taskset`. If the machine has too
    /// few cores, these are the last ones.
    pub(crate) fn cores(&self, first: usize, count: usize) -> String {
        let last = (first + count).min(self.cores).max(1) - 1;
        format!("{}-{last}", first.min(last))
    }

    /// Returns the cores that are left when a system has the first `taken`. If none are left,
    /// returns all.
    pub(crate) fn other_cores(&self, taken: usize) -> String {
        let first = if taken < self.cores { taken } else { 0 };
        format!("{first}-{}", self.cores - 1)
    }

    /// Restricts a process and all its threads to `cores`.
    pub(crate) fn keep(id: i32, cores: &str) -> PeersResult<()> {
        let output = Command::new("taskset").args(["-a", "-c", "-p", cores, &id.to_string()]).output();
        let output = output.map_err(|error| format!("cannot start taskset ({error}): install `util-linux`"))?;
        // It is not an error if a thread has ended in the meantime.
        if output.stdout.is_empty() {
            return Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gb, kernel } = self;
        write!(f, "{processor}, {cores} cores, {memory_gb:.0} GB, {kernel}")
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn a_system_has_the_first_cores_and_the_rest_has_the_others() {
        let machine = |cores| Machine { processor: String::new(), cores, memory_gb: 1.0, kernel: String::new() };
        assert_eq!((machine(2).cores(0, 1), machine(2).other_cores(1)), ("0-0".into(), "1-1".into()));
        assert_eq!((machine(2).cores(0, 2), machine(2).other_cores(2)), ("0-1".into(), "0-1".into()));
        assert_eq!((machine(8).cores(1, 1), machine(8).other_cores(2)), ("1-1".into(), "2-7".into()));
        assert_eq!((machine(1).cores(1, 1), machine(1).other_cores(2)), ("0-0".into(), "0-0".into()));
    }
}
