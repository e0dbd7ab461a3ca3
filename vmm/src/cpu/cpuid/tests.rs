//! CPUID on two hosts that are made up, as the vendors' manuals describe them.

use kvm_bindings::KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

use super::*;
use crate::cpu::features::parse;

/// `GenuineIntel` in `ebx`, `edx`, `ecx`.
const VENDOR_INTEL: [u32; 3] = [0x756e_6547, 0x4965_6e69, 0x6c65_746e];

/// Features of both hosts.
const COMMON: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 \
    clflush mmx fxsr sse sse2 ht pni pclmulqdq monitor ssse3 fma cx16 sse4.1 sse4.2 x2apic movbe \
    popcnt aes xsave osxsave avx f16c rdrand fsgsbase avx2 smap pku xsaveopt xsavec xgetbv1 \
    xsaves syscall nx rdtscp lm lahf-lm kvmclock kvmclock-stable-bit kvm-nopiodelay kvm-pv-eoi";

/// A host with those features, the `more`, a vendor and leaves.
fn host(vendor: [u32; 3], more: &str, others: &[(u32, u32, [u32; 4])]) -> HostCpu {
    let mut leaves = Leaves::new(&[]);
    for (leaf, subleaf, [eax, ebx, ecx, edx]) in others {
        let entry = leaves.entry(*leaf, *subleaf);
        (entry.eax, entry.ebx, entry.ecx, entry.edx) = (*eax, *ebx, *ecx, *edx);
        leaves.reach(*leaf);
    }
    for first in [0, 0x8000_0000] {
        let entry = leaves.entry(first, 0);
        [entry.ebx, entry.edx, entry.ecx] = vendor;
    }
    for name in COMMON.split_whitespace().chain(more.split_whitespace()) {
        leaves.set(find(name).unwrap(), true);
    }
    leaves.reach(0x8000_0008);
    HostCpu::new(&leaves.into_sorted(), true)
}

/// XSAVE components: AVX 256 bytes at 576, AVX-512 up to 2688, PKRU 8 bytes at 2688.
const XSAVE_LEAVES: [(u32, u32, [u32; 4]); 6] = [
    (0xd, 0, [0x2e7, 0x340, 2696, 0]),
    (0xd, 2, [256, 576, 0, 0]),
    (0xd, 5, [64, 1088, 0, 0]),
    (0xd, 6, [512, 1152, 0, 0]),
    (0xd, 7, [1024, 1664, 0, 0]),
    (0xd, 9, [8, 2688, 0, 0]),
];

fn intel() -> HostCpu {
    let mut leaves = XSAVE_LEAVES.to_vec();
    leaves.extend([
        (1, 0, [0x000a_0671, 0xff80_0800, 0, 0]),
        // An L1 data cache of 2 threads, an L3 of 16, in packages of 8 cores.
        (4, 0, [0x1c00_4121, 0x02c0_003f, 0x3f, 0]),
        (4, 1, [0x1c03_c163, 0x03c0_003f, 0x3fff, 6]),
        (0xb, 0, [1, 2, 0x100, 0x77]),
        (0x1f, 0, [1, 2, 0x100, 0x77]),
        (0x8000_0008, 0, [0x3027, 0, 0, 0]),
    ]);
    host(VENDOR_INTEL, "avx512f avx512bw avx512vl vmx sgx smep pcid", &leaves)
}

fn amd() -> HostCpu {
    let mut leaves = XSAVE_LEAVES.to_vec();
    leaves.extend([
        (1, 0, [0x00a1_0f11, 0xff80_0800, 0, 0]),
        (0x8000_0008, 0, [0x3030, 0, 0x700f, 0]),
        (0x8000_001d, 0, [0x0000_4121, 0x01c0_003f, 0x3f, 0]),
        (0x8000_001d, 1, [0x0003_c163, 0x03c0_003f, 0x7fff, 1]),
        (0x8000_0026, 0, [1, 2, 0x100, 0x77]),
    ]);
    host(VENDOR_AMD, "topoext svm npt cmp-legacy avx512f", &leaves)
}

fn request(model: Model, choices: &[Choice]) -> CpuRequest<'_> {
    let topology = Topology::new(1, 1, 1).unwrap();
    CpuRequest { model, choices, topology, local_apic: true }
}

fn chosen(names: &[(&str, bool)]) -> Vec<Choice> {
    parse(names.iter().copied()).unwrap()
}

fn built(host: &HostCpu, model: Model, names: &[(&str, bool)]) -> Cpuid {
    Cpuid::build(host, &request(model, &chosen(names))).unwrap()
}

fn has(cpuid: &Cpuid, name: &str) -> bool {
    cpuid.has(find(name).unwrap())
}

/// The answer to a vCPU, in `eax`, `ebx`, `ecx`, `edx`.
fn answer(cpuid: &Cpuid, index: u32, leaf: u32, subleaf: u32) -> Option<[u32; 4]> {
    let entries = cpuid.for_vcpu(index).unwrap();
    let found = Leaves::new(&entries);
    found.find(leaf, subleaf).map(|entry| [entry.eax, entry.ebx, entry.ecx, entry.edx])
}

fn with_topology(host: &HostCpu, model: Model, topology: Topology) -> Cpuid {
    Cpuid::build(host, &CpuRequest { topology, ..request(model, &[]) }).unwrap()
}

#[test]
fn host_passes_the_hosts_features_and_says_that_a_hypervisor_is_there() {
    for host in [intel(), amd()] {
        let cpuid = built(&host, Model::Host, &[]);
        for name in ["avx2", "cx16", "x2apic", "tsc-deadline", "hypervisor", "kvmclock"] {
            assert!(has(&cpuid, name), "{name}");
        }
        assert_eq!(answer(&cpuid, 0, 0x4000_0000, 0).unwrap()[1..], KVM_SIGNATURE);
    }
}

#[test]
fn what_follows_the_guests_doings_is_off_at_the_start() {
    assert!(!has(&built(&intel(), Model::Host, &[]), "osxsave"));
}

#[test]
fn nested_virtualization_and_enclaves_are_there_only_when_asked_for() {
    let (intel, amd) = (intel(), amd());
    let cpuid = built(&intel, Model::Host, &[]);
    assert!(!has(&cpuid, "vmx") && !has(&cpuid, "sgx"));
    assert!(has(&built(&intel, Model::Host, &[("vmx", true)]), "vmx"));
    let cpuid = built(&amd, Model::Host, &[]);
    assert!(!has(&cpuid, "svm") && !has(&cpuid, "npt"));
    assert_eq!(answer(&cpuid, 0, 0x8000_000a, 0), None);
    assert!(has(&built(&amd, Model::Host, &[("svm", true)]), "svm"));
}

#[test]
fn a_feature_that_is_off_takes_with_it_what_needs_it() {
    let cpuid = built(&intel(), Model::Host, &[("xsave", false)]);
    for name in ["xsave", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "xsavec", "pku"] {
        assert!(!has(&cpuid, name), "{name}");
    }
    assert!(has(&cpuid, "sse4.2") && has(&cpuid, "aes"));
    assert_eq!(answer(&cpuid, 0, 0xd, 0), None);
    let cpuid = built(&intel(), Model::Host, &[("cx16", false), ("smap", false)]);
    assert!(!has(&cpuid, "cx16") && !has(&cpuid, "smap") && has(&cpuid, "avx512f"));
}

#[test]
fn the_state_that_xsave_manages_shrinks_with_the_features() {
    let cpuid = built(&intel(), Model::Host, &[]);
    assert_eq!(answer(&cpuid, 0, 0xd, 0).unwrap(), [0x2e7, 576, 2696, 0]);
    let cpuid = built(&intel(), Model::Host, &[("pku", false)]);
    assert_eq!(answer(&cpuid, 0, 0xd, 0).unwrap(), [0xe7, 576, 2688, 0]);
    assert_eq!(answer(&cpuid, 0, 0xd, 9), None);
    let cpuid = built(&intel(), Model::Host, &[("avx512f", false), ("pku", false)]);
    assert_eq!(answer(&cpuid, 0, 0xd, 0).unwrap(), [7, 576, 832, 0]);
    let cpuid = built(&intel(), Model::Host, &[("avx", false), ("pku", false)]);
    assert_eq!(answer(&cpuid, 0, 0xd, 0).unwrap(), [3, 576, 576, 0]);
}

#[test]
fn a_feature_that_the_host_cannot_give_is_an_error_that_names_it() {
    let choices = chosen(&[("popcnt", true), ("amx-tile", true)]);
    let error = Cpuid::build(&intel(), &request(Model::Host, &choices)).unwrap_err();
    assert_eq!(error.to_string(), "this host's KVM cannot give CPU feature 'amx-tile'");
}

#[test]
fn a_feature_asked_for_without_what_it_needs_is_an_error_that_names_both() {
    let choices = chosen(&[("avx2", true), ("xsave", false)]);
    let error = Cpuid::build(&intel(), &request(Model::Host, &choices)).unwrap_err();
    assert_eq!(error.to_string(), "CPU feature 'avx2' needs 'avx', which is off");
    // The baseline has no XSAVE to begin with.
    let choices = chosen(&[("avx", true)]);
    let error = Cpuid::build(&intel(), &request(Model::X86_64V1, &choices)).unwrap_err();
    assert!(matches!(error, CpuError::Needs { feature, .. } if feature.name == "avx"));
}

#[test]
fn the_baseline_is_the_same_on_every_host() {
    let (one, other) = (built(&intel(), Model::X86_64V1, &[]), built(&amd(), Model::X86_64V1, &[]));
    for leaf in [0, 1, 0x8000_0000, 0x8000_0001, 0x8000_0002, 0x4000_0001] {
        assert_eq!(answer(&one, 0, leaf, 0), answer(&other, 0, leaf, 0), "{leaf:#x}");
    }
    let name: Vec<u8> = (0x8000_0002..=0x8000_0004)
        .flat_map(|leaf| answer(&one, 0, leaf, 0).unwrap())
        .flat_map(u32::to_le_bytes)
        .collect();
    assert_eq!(&name[..20], b"x86-64-v1 baseline\0\0");
}

#[test]
fn the_baseline_has_level_one_and_nothing_of_the_levels_above() {
    let cpuid = built(&intel(), Model::X86_64V1, &[]);
    for name in model::BASELINE_REQUIRED {
        assert!(has(&cpuid, name), "{name}");
    }
    for name in ["cx16", "lahf-lm", "popcnt", "pni", "sse4.1", "avx", "xsave", "rdtscp", "smap"] {
        assert!(!has(&cpuid, name), "{name}");
    }
    for name in ["hypervisor", "x2apic", "tsc-deadline", "kvmclock", "pge", "pat"] {
        assert!(has(&cpuid, name), "{name}");
    }
    // AMD repeats some of leaf 1: FPU, TSC, MSR and PAE among them.
    let extended = answer(&cpuid, 0, 0x8000_0001, 0).unwrap()[3];
    assert_eq!(extended & 0b111_0001, 0b111_0001);
}

#[test]
fn the_baseline_can_be_added_to() {
    let names = [("popcnt", true), ("smap", true), ("xsave", true), ("rdtscp", true)];
    let cpuid = built(&intel(), Model::X86_64V1, &names);
    assert!(names.iter().all(|(name, _)| has(&cpuid, name)));
    assert!(answer(&cpuid, 0, 0, 0).unwrap()[0] >= 0xd, "the leaves of XSAVE can be reached");
    assert_eq!(answer(&cpuid, 0, 0xd, 0).unwrap(), [3, 576, 576, 0]);
}

#[test]
fn a_host_without_the_baseline_is_told_what_it_lacks() {
    let mut poor = intel();
    for name in ["sse2", "nx"] {
        poor.supported.set(find(name).unwrap(), false);
    }
    let error = Cpuid::build(&poor, &request(Model::X86_64V1, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this host's KVM lacks what model 'x86-64-v1' consists of: nx, sse2"
    );
}

#[test]
fn without_a_local_apic_nothing_that_needs_one_is_told() {
    let request = CpuRequest { local_apic: false, ..request(Model::Host, &[]) };
    let cpuid = Cpuid::build(&intel(), &request).unwrap();
    for name in ["apic", "x2apic", "tsc-deadline", "kvm-pv-eoi"] {
        assert!(!has(&cpuid, name), "{name}");
    }
    assert!(has(&cpuid, "kvmclock"));
}

#[test]
fn each_vcpu_finds_its_own_id_and_the_levels_above_it() {
    // Three cores of two threads: the ids of a package take three bits.
    let topology = Topology::new(2, 3, 2).unwrap();
    let cpuid = with_topology(&intel(), Model::Host, topology);
    let last = topology.apic_id(11).unwrap();
    assert_eq!(last, 0b1101);
    let [_, ebx, _, _] = answer(&cpuid, 11, 1, 0).unwrap();
    assert_eq!((ebx >> 24, ebx >> 16 & 0xff, ebx >> 8 & 0xff), (last, 8, 8));
    for leaf in [0xb, 0x1f] {
        assert_eq!(answer(&cpuid, 11, leaf, 0).unwrap(), [1, 2, 0x100, last]);
        assert_eq!(answer(&cpuid, 11, leaf, 1).unwrap(), [3, 6, 0x201, last]);
        assert_eq!(answer(&cpuid, 11, leaf, 2).unwrap(), [0, 0, 2, last]);
    }
    // Caches: a core's has 2 threads, the package's 8 ids; a package has ids for 4 cores.
    let [core, ..] = answer(&cpuid, 0, 4, 0).unwrap();
    let [package, ..] = answer(&cpuid, 0, 4, 1).unwrap();
    assert_eq!((core >> 14 & 0xfff, core >> 26), (1, 3));
    assert_eq!((package >> 14 & 0xfff, package >> 26), (7, 3));
    assert_eq!(cpuid.for_vcpu(12), None);
    assert_eq!(answer(&cpuid, 0, 1, 0).unwrap()[1] >> 24, 0);
}

#[test]
fn one_vcpu_alone_is_told_of_no_others() {
    let cpuid = built(&intel(), Model::Host, &[]);
    assert_eq!(answer(&cpuid, 0, 1, 0).unwrap()[1] >> 16, 1);
    assert_eq!(answer(&cpuid, 0, 1, 0).unwrap()[3] & 1 << 28, 0, "ht");
    assert_eq!(answer(&cpuid, 0, 0xb, 0).unwrap(), [0, 1, 0x100, 0]);
}

#[test]
fn amd_tells_counts_and_ids_in_its_own_leaves_too() {
    let cpuid = with_topology(&amd(), Model::Host, Topology::new(2, 2, 2).unwrap());
    assert_eq!(answer(&cpuid, 6, 0x8000_0008, 0).unwrap()[2], 0x2003);
    // Package 1, core 1, thread 0.
    assert_eq!(answer(&cpuid, 6, 0x8000_001e, 0).unwrap(), [6, 0x101, 1, 0]);
    assert_eq!(answer(&cpuid, 6, 0x8000_001d, 0).unwrap()[0] >> 14, 1);
    assert_eq!(answer(&cpuid, 6, 0x8000_001d, 1).unwrap()[0] >> 14, 3);
    assert_eq!(answer(&cpuid, 6, 0x8000_0026, 0), None, "the host's own topology");
    let legacy = find("cmp-legacy").unwrap();
    let told = |cpuid: &Cpuid| Leaves::new(&cpuid.for_vcpu(0).unwrap()).has(legacy);
    assert!(told(&cpuid));
    assert!(!told(&built(&amd(), Model::Host, &[])));
    let cpuid = built(&amd(), Model::Host, &[("topoext", false)]);
    assert_eq!(answer(&cpuid, 0, 0x8000_001e, 0), None);
}

#[test]
fn many_vcpus_need_x2apic() {
    let topology = Topology::new(1, 300, 1).unwrap();
    let choices = chosen(&[("x2apic", false)]);
    let without = CpuRequest { topology, ..request(Model::Host, &choices) };
    assert_eq!(Cpuid::build(&intel(), &without).unwrap_err(), CpuError::ApicId { apic_id: 299 });
    let cpuid = with_topology(&intel(), Model::Host, topology);
    assert_eq!(answer(&cpuid, 299, 0xb, 1).unwrap(), [9, 300, 0x201, 299]);
    assert_eq!(answer(&cpuid, 299, 1, 0).unwrap()[1] >> 16, (299 & 0xff) << 8 | 0xff);
}

#[test]
fn entries_come_sorted_once_each_and_flagged_where_the_subleaf_counts() {
    let cpuid = with_topology(&intel(), Model::Host, Topology::new(1, 2, 1).unwrap());
    let entries = cpuid.for_vcpu(1).unwrap();
    assert!(
        entries
            .is_sorted_by(|one, next| { (one.function, one.index) < (next.function, next.index) })
    );
    for entry in entries.iter().filter(|entry| [4, 7, 0xb, 0xd].contains(&entry.function)) {
        assert_eq!(entry.flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
    }
}
