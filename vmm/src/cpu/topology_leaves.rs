//! The leaves of CPUID that tell a vCPU who it is among the others.

use super::features::find;
use super::leaves::Leaves;
use super::topology::Topology;

/// Kinds of level in leaves 0xb and 0x1f, `ecx[15:8]` (Intel SDM volume 2, CPUID).
const LEVEL_THREAD: u32 = 1;
const LEVEL_CORE: u32 = 2;

/// Whose meaning of a leaf holds, where the vendors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    /// AMD and Hygon.
    Amd,
    /// Everybody else.
    Intel,
}

/// Writes `topology` as the vCPU with that APIC id sees it.
pub(super) fn write(leaves: &mut Leaves, vendor: Vendor, topology: &Topology, apic_id: u32) {
    write_basic(leaves, vendor, topology, apic_id);
    write_levels(leaves, 0xb, topology, apic_id);
    if leaves.find(0x1f, 0).is_some() {
        write_levels(leaves, 0x1f, topology, apic_id);
    }
    write_caches(leaves, vendor, topology);
    if vendor == Vendor::Amd {
        write_amd(leaves, topology, apic_id);
    }
}

/// Leaf 1: the first eight bits of the APIC id, and how many a package has.
fn write_basic(leaves: &mut Leaves, vendor: Vendor, topology: &Topology, apic_id: u32) {
    let several = topology.vcpus_per_socket() > 1;
    // Intel counts the ids that a package could have, AMD the threads that it has.
    let count = match vendor {
        Vendor::Intel => 1 << topology.package_bits(),
        Vendor::Amd => topology.vcpus_per_socket(),
    };
    let entry = leaves.entry(1, 0);
    entry.ebx = (entry.ebx & 0xffff) | count.min(0xff) << 16 | (apic_id & 0xff) << 24;
    if let Some(ht) = find("ht") {
        leaves.set(ht, several);
    }
}

/// Leaf 0xb or 0x1f: the levels of the topology, and the whole APIC id.
fn write_levels(leaves: &mut Leaves, leaf: u32, topology: &Topology, apic_id: u32) {
    leaves.retain(|entry| entry.function != leaf);
    let levels = [
        (topology.thread_bits(), topology.threads(), LEVEL_THREAD),
        (topology.package_bits(), topology.vcpus_per_socket(), LEVEL_CORE),
        // A level of kind 0 ends the list.
        (0, 0, 0),
    ];
    for (subleaf, (shift, count, kind)) in (0..).zip(levels) {
        let entry = leaves.entry(leaf, subleaf);
        entry.eax = shift;
        entry.ebx = count;
        entry.ecx = kind << 8 | subleaf;
        entry.edx = apic_id;
    }
    leaves.reach(leaf);
}

/// Leaves 4 and 0x8000001d: which vCPUs share a cache. The first two levels are taken to be a
/// core's, the third a package's.
fn write_caches(leaves: &mut Leaves, vendor: Vendor, topology: &Topology) {
    let thread_ids = 1_u32 << topology.thread_bits();
    let package_ids = 1_u32 << topology.package_bits();
    for entry in leaves.iter_mut() {
        let level = (entry.eax >> 5) & 0b111;
        let kind = entry.eax & 0b1_1111;
        if kind == 0 {
            continue;
        }
        match entry.function {
            4 if vendor == Vendor::Intel => {
                let sharing = if level < 3 { thread_ids } else { package_ids };
                let cores = package_ids / thread_ids;
                entry.eax = (entry.eax & 0x3fff)
                    | (sharing - 1).min(0xfff) << 14
                    | (cores - 1).min(0x3f) << 26;
            }
            0x8000_001d => {
                let sharing =
                    if level < 3 { topology.threads() } else { topology.vcpus_per_socket() };
                entry.eax = (entry.eax & !(0xfff << 14)) | (sharing - 1).min(0xfff) << 14;
            }
            _ => {}
        }
    }
}

/// Leaves 0x80000001, 0x80000008 and 0x8000001e of AMD: counts and ids once more.
fn write_amd(leaves: &mut Leaves, topology: &Topology, apic_id: u32) {
    let count = topology.vcpus_per_socket();
    if let Some(legacy) = find("cmp-legacy") {
        leaves.set(legacy, count > 1);
    }
    let sizes = leaves.entry(0x8000_0008, 0);
    // Bits 15:12: width of the id within a package; bits 7:0: threads of a package less one.
    sizes.ecx =
        (sizes.ecx & !0xf0ff) | topology.package_bits().min(0xf) << 12 | (count - 1).min(0xff);
    if !find("topoext").is_some_and(|topoext| leaves.has(topoext)) {
        leaves.retain(|entry| !matches!(entry.function, 0x8000_001d | 0x8000_001e));
        return;
    }
    let core = (apic_id & ((1 << topology.package_bits()) - 1)) >> topology.thread_bits();
    let node = apic_id >> topology.package_bits();
    let ids = leaves.entry(0x8000_001e, 0);
    ids.eax = apic_id;
    ids.ebx = (topology.threads() - 1).min(0xff) << 8 | (core & 0xff);
    ids.ecx = node & 0xff;
    ids.edx = 0;
    leaves.reach(0x8000_001e);
}
