//! What CPUID tells each vCPU: a model, a user's choice of features, and the topology.

use std::collections::BTreeSet;

use kvm_bindings::kvm_cpuid_entry2;

use super::features::{Choice, Feature, Register, Word, find};
use super::leaves::Leaves;
use super::model::{self, Model, OFF_BY_DEFAULT, VENDOR_AMD};
use super::topology::Topology;
use super::topology_leaves::{self, Vendor};
use super::xsave;
use crate::kvm::{IoctlFailed, System};

/// KVM's signature, `KVMKVMKVM`, as leaf 0x40000000 gives it in `ebx`, `ecx` and `edx` (Linux,
/// `Documentation/virt/kvm/x86/cpuid.rst`).
const KVM_SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x0000_004d];

/// `HygonGenuine`, whose processors are AMD's design.
const VENDOR_HYGON: [u32; 3] = [0x6f67_7948, 0x6e65_476e, 0x656e_6975];

/// Bits of leaf 1 `edx` that AMD repeats in leaf 0x80000001 `edx` (AMD APM volume 3, appendix
/// E.4.2).
const REPEATED: u32 = 0x0183_f3ff;

/// The greatest APIC id without x2APIC; 255 means all of them.
const LAST_XAPIC_ID: u32 = 254;

/// Why a guest can't have such a CPU.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CpuError {
    /// A feature was asked for that the host's KVM can't give.
    #[error("this host's KVM cannot give CPU feature '{}'", .feature.name)]
    Unsupported {
        /// The feature.
        feature: &'static Feature,
    },
    /// A feature was asked for that makes no sense without another, which is off.
    #[error("CPU feature '{}' needs '{}', which is off", .feature.name, .needed.name)]
    Needs {
        /// The feature asked for.
        feature: &'static Feature,
        /// What it needs.
        needed: &'static Feature,
    },
    /// The host can't give what the model can't do without.
    #[error("this host's KVM lacks what model '{}' consists of: {}", .model.name(), names(.missing))]
    Model {
        /// The model.
        model: Model,
        /// What the host lacks.
        missing: Vec<&'static Feature>,
    },
    /// An APIC id that only x2APIC can express, without it.
    #[error("APIC id {apic_id} of the topology needs CPU feature 'x2apic' (above {LAST_XAPIC_ID})")]
    ApicId {
        /// The greatest id of the topology.
        apic_id: u32,
    },
}

/// Names of features, for a message.
fn names(features: &[&Feature]) -> String {
    features.iter().map(|feature| feature.name).collect::<Vec<_>>().join(", ")
}

/// What the host's KVM can tell a guest.
#[derive(Clone, Debug)]
pub struct HostCpu {
    supported: Leaves,
}

impl HostCpu {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The kernel's.
    pub fn of(system: &System) -> Result<Self, IoctlFailed> {
        let supported = system.supported_cpuid()?;
        Ok(Self::new(supported.as_slice(), system.has_tsc_deadline_timer()))
    }

    /// Takes the kernel's list, and whether its local APIC has the TSC-deadline timer, which the
    /// list does not tell on every kernel.
    pub fn new(supported: &[kvm_cpuid_entry2], tsc_deadline_timer: bool) -> Self {
        let mut supported = Leaves::new(supported);
        if let Some(feature) = find("tsc-deadline") {
            supported.set(feature, tsc_deadline_timer);
        }
        // Not of the processor but of the VMM, so that many kernels leave it out of their list.
        if let Some(feature) = find("hypervisor") {
            supported.set(feature, true);
        }
        Self { supported }
    }

    /// Whether a guest can have `feature`.
    pub fn supports(&self, feature: &Feature) -> bool {
        self.supported.has(feature)
    }
}

/// What a guest's processors are to be.
#[derive(Clone, Debug)]
pub struct CpuRequest<'a> {
    /// The model.
    pub model: Model,
    /// A user's choice of features, as [`features::parse`](super::features::parse) gives it.
    pub choices: &'a [Choice],
    /// The arrangement of the vCPUs.
    pub topology: Topology,
    /// Whether the VM has local APICs in the kernel.
    pub local_apic: bool,
}

/// What CPUID tells, but for what differs from vCPU to vCPU.
#[derive(Clone, Debug)]
pub struct Cpuid {
    common: Leaves,
    vendor: Vendor,
    topology: Topology,
}

impl Cpuid {
    /// Works out what CPUID tells on this `host`.
    ///
    /// A feature that is off takes with it whatever makes no sense without it.
    ///
    /// # Errors
    /// A feature asked for that the host can't give or that needs one which is off; a model that
    /// the host can't give; or a topology beyond the local APIC.
    pub fn build(host: &HostCpu, request: &CpuRequest<'_>) -> Result<Self, CpuError> {
        let mut leaves = match request.model {
            Model::Host => host.supported.clone(),
            Model::X86_64V1 => model::baseline(&host.supported)
                .map_err(|missing| CpuError::Model { model: request.model, missing })?,
        };
        let asked =
            |feature| request.choices.iter().any(|choice| choice.on && choice.feature == feature);
        if request.model == Model::Host {
            for feature in OFF_BY_DEFAULT.iter().filter_map(|name| find(name)) {
                if !asked(feature) {
                    switch_off(&mut leaves, feature);
                }
            }
        }
        // These two follow what the guest does, and are off at the start.
        for feature in ["osxsave", "ospke"].iter().filter_map(|name| find(name)) {
            leaves.set(feature, false);
        }
        choose(host, &mut leaves, request)?;
        finish(&mut leaves);

        let topology = request.topology;
        let apic_id = topology.apic_id(topology.vcpus() - 1).unwrap_or(0);
        if apic_id > LAST_XAPIC_ID && !find("x2apic").is_some_and(|x2apic| leaves.has(x2apic)) {
            return Err(CpuError::ApicId { apic_id });
        }
        let vendor = vendor(&leaves);
        Ok(Self { common: leaves, vendor, topology })
    }

    /// Whether the guest has `feature`.
    pub fn has(&self, feature: &Feature) -> bool {
        self.common.has(feature)
    }

    /// What CPUID tells the vCPU with that index, sorted by leaf; none beyond the topology. The
    /// vCPU's number in the kernel has to be [`Topology::apic_id`] of the same index.
    pub fn for_vcpu(&self, index: u32) -> Option<Vec<kvm_cpuid_entry2>> {
        let apic_id = self.topology.apic_id(index)?;
        let mut leaves = self.common.clone();
        topology_leaves::write(&mut leaves, self.vendor, &self.topology, apic_id);
        Some(leaves.into_sorted())
    }
}

/// Applies the user's choices, first what is to be on.
fn choose(host: &HostCpu, leaves: &mut Leaves, request: &CpuRequest<'_>) -> Result<(), CpuError> {
    let chosen = |on| {
        request.choices.iter().filter(move |choice| choice.on == on).map(|choice| choice.feature)
    };
    for feature in chosen(true) {
        if !host.supports(feature) {
            return Err(CpuError::Unsupported { feature });
        }
        leaves.set(feature, true);
        if feature.name == "xsave" {
            add_xsave_leaf(&host.supported, leaves);
        }
    }
    for feature in chosen(false) {
        switch_off(leaves, feature);
    }
    if !request.local_apic
        && let Some(apic) = find("apic")
    {
        switch_off(leaves, apic);
    }
    // What was asked for is still there unless something it needs went.
    for feature in chosen(true) {
        for needed in feature.needs() {
            if !leaves.has(needed) {
                return Err(CpuError::Needs { feature, needed });
            }
        }
    }
    Ok(())
}

/// Gives a model that has no leaf 0xd the host's.
fn add_xsave_leaf(supported: &Leaves, leaves: &mut Leaves) {
    if leaves.find(0xd, 0).is_some() {
        return;
    }
    for subleaf in 0..63 {
        if let Some(of_host) = supported.find(0xd, subleaf) {
            let entry = leaves.entry(0xd, subleaf);
            (entry.eax, entry.ebx) = (of_host.eax, of_host.ebx);
            (entry.ecx, entry.edx) = (of_host.ecx, of_host.edx);
        }
    }
    // The extensions are features of their own, not asked for here.
    leaves.entry(0xd, 1).eax = 0;
    leaves.reach(0xd);
}

/// Switches `feature` off, and all that needs it, however indirectly.
fn switch_off(leaves: &mut Leaves, feature: &'static Feature) {
    let mut off = BTreeSet::new();
    let mut next = vec![feature];
    while let Some(feature) = next.pop() {
        if off.insert(feature.name) {
            leaves.set(feature, false);
            next.extend(feature.needed_by());
        }
    }
}

/// Brings the leaves that follow from features in step with them.
fn finish(leaves: &mut Leaves) {
    xsave::trim(leaves);
    if !find("sgx").is_some_and(|sgx| leaves.has(sgx)) {
        leaves.retain(|entry| entry.function != 0x12);
    }
    if !find("svm").is_some_and(|svm| leaves.has(svm)) {
        leaves.retain(|entry| entry.function != 0x8000_000a);
    }
    // The host's topology by another leaf, of which nothing is known here.
    leaves.retain(|entry| entry.function != 0x8000_0026);
    if vendor(leaves) == Vendor::Amd {
        let first = leaves.word(Word { leaf: 1, subleaf: 0, register: Register::Edx });
        let entry = leaves.entry(0x8000_0001, 0);
        entry.edx = (entry.edx & !REPEATED) | (first & REPEATED);
    }
    let signature = leaves.entry(0x4000_0000, 0);
    [signature.ebx, signature.ecx, signature.edx] = KVM_SIGNATURE;
    leaves.entry(0x4000_0001, 0);
    leaves.reach(0x4000_0001);
}

/// The vendor that leaf 0 names.
fn vendor(leaves: &Leaves) -> Vendor {
    let named = leaves.find(0, 0).map(|entry| [entry.ebx, entry.edx, entry.ecx]);
    if named.is_some_and(|named| [VENDOR_AMD, VENDOR_HYGON].contains(&named)) {
        Vendor::Amd
    } else {
        Vendor::Intel
    }
}

#[cfg(test)]
mod tests;
