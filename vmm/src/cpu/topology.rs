//! How vCPUs are arranged into packages, cores and threads, and the APIC ids that follow.

use std::num::NonZeroU32;

/// The greatest number of vCPUs of a topology; what an APIC id of 32 bits leaves ample room for,
/// and more than KVM gives one VM.
pub const MAX_VCPUS: u32 = 1 << 16;

/// Why numbers don't make a topology.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopologyError {
    /// One of them is 0.
    #[error("a topology of {sockets} sockets x {cores} cores x {threads} threads: none may be 0")]
    Zero {
        /// Packages given.
        sockets: u32,
        /// Cores of a package given.
        cores: u32,
        /// Threads of a core given.
        threads: u32,
    },
    /// Their product is too great.
    #[error(
        "a topology of {sockets} sockets x {cores} cores x {threads} threads: \
         expected {MAX_VCPUS} vCPUs at most"
    )]
    TooLarge {
        /// Packages given.
        sockets: u32,
        /// Cores of a package given.
        cores: u32,
        /// Threads of a core given.
        threads: u32,
    },
}

/// Packages of cores of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    sockets: NonZeroU32,
    cores: NonZeroU32,
    threads: NonZeroU32,
}

impl Topology {
    /// A topology of `sockets` packages, of `cores` cores each, of `threads` threads each.
    ///
    /// # Errors
    /// A number that is 0, or more than [`MAX_VCPUS`] in all.
    pub fn new(sockets: u32, cores: u32, threads: u32) -> Result<Self, TopologyError> {
        let zero = || TopologyError::Zero { sockets, cores, threads };
        let nonzero = |number| NonZeroU32::new(number).ok_or_else(zero);
        let topology =
            Self { sockets: nonzero(sockets)?, cores: nonzero(cores)?, threads: nonzero(threads)? };
        sockets
            .checked_mul(cores)
            .and_then(|all| all.checked_mul(threads))
            .filter(|all| *all <= MAX_VCPUS)
            .map(|_| topology)
            .ok_or(TopologyError::TooLarge { sockets, cores, threads })
    }

    /// vCPUs in all.
    pub fn vcpus(&self) -> u32 {
        // No more than MAX_VCPUS, see `new`.
        self.sockets.get() * self.vcpus_per_socket()
    }

    /// Threads of a package.
    pub fn vcpus_per_socket(&self) -> u32 {
        self.cores.get() * self.threads.get()
    }

    /// Threads of a core.
    pub fn threads(&self) -> u32 {
        self.threads.get()
    }

    /// Cores of a package.
    pub fn cores(&self) -> u32 {
        self.cores.get()
    }

    /// Packages.
    pub fn sockets(&self) -> u32 {
        self.sockets.get()
    }

    /// Low bits of an APIC id that tell the thread within its core.
    pub fn thread_bits(&self) -> u32 {
        bits_for(self.threads)
    }

    /// Low bits of an APIC id that tell the thread within its package.
    pub fn package_bits(&self) -> u32 {
        bits_for(self.threads) + bits_for(self.cores)
    }

    /// The APIC id of the vCPU with that index, threads counted first, then cores, then packages;
    /// none if there are fewer. It skips numbers where threads or cores are no power of two
    /// (Intel SDM volume 3, section 9.9.1).
    pub fn apic_id(&self, index: u32) -> Option<u32> {
        if index >= self.vcpus() {
            return None;
        }
        let thread = index % self.threads;
        let core = (index / self.threads) % self.cores;
        let socket = index / self.vcpus_per_socket();
        Some(socket << self.package_bits() | core << self.thread_bits() | thread)
    }
}

/// Bits that tell `count` things apart.
fn bits_for(count: NonZeroU32) -> u32 {
    u32::BITS - (count.get() - 1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_number_their_apics_without_gaps() {
        let topology = Topology::new(2, 2, 2).unwrap();
        let ids: Vec<_> = (0..8).map(|index| topology.apic_id(index).unwrap()).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.apic_id(8), None);
        assert_eq!((topology.thread_bits(), topology.package_bits()), (1, 2));
    }

    #[test]
    fn other_numbers_leave_gaps_so_that_bits_tell_packages_apart() {
        let topology = Topology::new(2, 3, 1).unwrap();
        let ids: Vec<_> = (0..6).map(|index| topology.apic_id(index).unwrap()).collect();
        assert_eq!(ids, [0, 1, 2, 4, 5, 6]);
        let topology = Topology::new(1, 2, 3).unwrap();
        let ids: Vec<_> = (0..6).map(|index| topology.apic_id(index).unwrap()).collect();
        assert_eq!(ids, [0, 1, 2, 4, 5, 6]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let zero = TopologyError::Zero { sockets: 1, cores: 0, threads: 1 };
        assert_eq!(Topology::new(1, 0, 1), Err(zero));
        for (sockets, cores, threads) in [(u32::MAX, u32::MAX, 2), (MAX_VCPUS, 1, 2), (1, 65537, 1)]
        {
            assert_eq!(
                Topology::new(sockets, cores, threads),
                Err(TopologyError::TooLarge { sockets, cores, threads })
            );
        }
        assert!(Topology::new(1, MAX_VCPUS, 1).is_ok());
    }
}
