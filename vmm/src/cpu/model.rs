//! CPU models: the host's own processor, and a fixed baseline that every x86-64 host can give.

use super::features::{Feature, find};
use super::leaves::Leaves;

/// What a guest's processor is, before a user's choice of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// All that the host's KVM can give, but for what opens more of the host than a guest
    /// ordinarily needs ([`OFF_BY_DEFAULT`]).
    Host,
    /// Level 1 of the x86-64 psABI (x86-64-v1) and what Linux needs besides, the same on every
    /// host: vendor, signature and name are fixed.
    X86_64V1,
}

impl Model {
    /// The model of that name: `host` or `x86-64-v1`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "host" => Some(Self::Host),
            "x86-64-v1" => Some(Self::X86_64V1),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::X86_64V1 => "x86-64-v1",
        }
    }
}

/// Features that [`Model::Host`] has only if a user asks: enclaves and nested virtualization,
/// whose emulation is a large part of KVM that other guests never reach.
pub const OFF_BY_DEFAULT: [&str; 3] = ["sgx", "svm", "vmx"];

/// What the baseline can't do without: level 1 of the psABI (System V ABI, AMD64 supplement,
/// section 3.1.1), and what 64-bit Linux insists on at start-up.
pub(super) const BASELINE_REQUIRED: [&str; 14] = [
    "apic", "cmov", "cx8", "fpu", "fxsr", "lm", "mmx", "msr", "nx", "pae", "sse", "sse2",
    "syscall", "tsc",
];

/// What the baseline has wherever the host can give it. The first line is of the processor;
/// then the kernel's local APIC, and the clock that spares a guest the calibration of its own.
const BASELINE_OPTIONAL: [&str; 11] = [
    "clflush",
    "mtrr",
    "pat",
    "pge",
    "pse",
    "sep", //
    "hypervisor",
    "tsc-deadline",
    "x2apic", //
    "kvmclock",
    "kvmclock-stable-bit",
];

/// Family 15, model 47, stepping 2: a processor of the first generation of x86-64 that has what
/// the baseline has and little more. Guests know none of the later faults of speculation for it.
const SIGNATURE: u32 = 0x0002_0ff2;

/// `AuthenticAMD`, as leaf 0 gives it in `ebx`, `edx` and `ecx`.
pub(super) const VENDOR_AMD: [u32; 3] = [0x6874_7541, 0x6974_6e65, 0x444d_4163];

/// The name of the processor: 48 bytes, ended by zeros.
const NAME: [u8; 48] =
    *b"x86-64-v1 baseline\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Bytes of a cache line, for CLFLUSH, in units of eight bytes, in leaf 1 `ebx`.
const CLFLUSH_UNITS: u32 = 8 << 8;

/// Guest-physical address bits of the baseline, and linear ones.
const PHYSICAL_BITS: u32 = 40;
const LINEAR_BITS: u32 = 48;

/// The baseline on a host that supports `supported`, or the required features that it lacks.
pub(super) fn baseline(supported: &Leaves) -> Result<Leaves, Vec<&'static Feature>> {
    let (required, missing): (Vec<_>, Vec<_>) = BASELINE_REQUIRED
        .iter()
        .filter_map(|name| find(name))
        .partition(|feature| supported.has(feature));
    if !missing.is_empty() {
        return Err(missing);
    }

    let mut leaves = Leaves::new(&[]);
    let [ebx, edx, ecx] = VENDOR_AMD;
    for first in [0, 0x8000_0000] {
        let entry = leaves.entry(first, 0);
        (entry.ebx, entry.edx, entry.ecx) = (ebx, edx, ecx);
    }
    let entry = leaves.entry(1, 0);
    (entry.eax, entry.ebx) = (SIGNATURE, CLFLUSH_UNITS);
    leaves.entry(0x8000_0001, 0).eax = SIGNATURE;
    for (leaf, part) in (0x8000_0002..).zip(NAME.chunks_exact(16)) {
        let mut words = part
            .chunks_exact(4)
            .map(|bytes| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
        let mut next = || words.next().unwrap_or(0);
        let entry = leaves.entry(leaf, 0);
        (entry.eax, entry.ebx, entry.ecx, entry.edx) = (next(), next(), next(), next());
    }
    let host_bits = supported.find(0x8000_0008, 0).map_or(36, |entry| entry.eax & 0xff);
    leaves.entry(0x8000_0008, 0).eax = LINEAR_BITS << 8 | PHYSICAL_BITS.min(host_bits);
    leaves.reach(0x8000_0008);

    let optional = BASELINE_OPTIONAL.iter().filter_map(|name| find(name));
    for feature in required.into_iter().chain(optional.filter(|feature| supported.has(feature))) {
        leaves.set(feature, true);
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_a_model_exists() {
        for name in BASELINE_REQUIRED.iter().chain(&BASELINE_OPTIONAL).chain(&OFF_BY_DEFAULT) {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn models_are_found_by_the_names_they_give() {
        for model in [Model::Host, Model::X86_64V1] {
            assert_eq!(Model::from_name(model.name()), Some(model));
        }
        assert_eq!(Model::from_name("Host"), None);
    }
}
