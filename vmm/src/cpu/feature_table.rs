//! The names of CPU features and where CPUID tells of them.
//!
//! Names are those that QEMU's users write, with hyphens; bits are from the processors' manuals.

use super::features::{Feature, Register, Word};

/// Leaf 1, `ecx` (Intel SDM volume 2, CPUID, table 3-10).
const L1_ECX: Word = Word {
    leaf: 1,
    subleaf: 0,
    register: Register::Ecx,
};
/// Leaf 1, `edx` (Intel SDM volume 2, CPUID, table 3-11).
const L1_EDX: Word = Word {
    leaf: 1,
    subleaf: 0,
    register: Register::Edx,
};
/// Leaf 6, thermal and power management.
const L6_EAX: Word = Word {
    leaf: 6,
    subleaf: 0,
    register: Register::Eax,
};
/// Leaf 7, structured extended features.
const L7_EBX: Word = Word {
    leaf: 7,
    subleaf: 0,
    register: Register::Ebx,
};
/// Leaf 7, `ecx`.
const L7_ECX: Word = Word {
    leaf: 7,
    subleaf: 0,
    register: Register::Ecx,
};
/// Leaf 7, `edx`.
const L7_EDX: Word = Word {
    leaf: 7,
    subleaf: 0,
    register: Register::Edx,
};
/// Leaf 7, subleaf 1, `eax`.
const L7_1_EAX: Word = Word {
    leaf: 7,
    subleaf: 1,
    register: Register::Eax,
};
/// Leaf 7, subleaf 1, `edx`.
const L7_1_EDX: Word = Word {
    leaf: 7,
    subleaf: 1,
    register: Register::Edx,
};
/// Leaf 7, subleaf 2, `edx`.
const L7_2_EDX: Word = Word {
    leaf: 7,
    subleaf: 2,
    register: Register::Edx,
};
/// Leaf 0xd, subleaf 1: extensions of XSAVE.
const LD_1_EAX: Word = Word {
    leaf: 0xd,
    subleaf: 1,
    register: Register::Eax,
};
/// Leaf 0x80000001, `ecx` (AMD APM volume 3, appendix E.4.2).
const X1_ECX: Word = Word {
    leaf: 0x8000_0001,
    subleaf: 0,
    register: Register::Ecx,
};
/// Leaf 0x80000001, `edx`, without what only repeats leaf 1.
const X1_EDX: Word = Word {
    leaf: 0x8000_0001,
    subleaf: 0,
    register: Register::Edx,
};
/// Leaf 0x80000007, reliability.
const X7_EBX: Word = Word {
    leaf: 0x8000_0007,
    subleaf: 0,
    register: Register::Ebx,
};
/// Leaf 0x80000007, power management.
const X7_EDX: Word = Word {
    leaf: 0x8000_0007,
    subleaf: 0,
    register: Register::Edx,
};
/// Leaf 0x80000008, extended features (AMD APM volume 3, appendix E.4.7).
const X8_EBX: Word = Word {
    leaf: 0x8000_0008,
    subleaf: 0,
    register: Register::Ebx,
};
/// Leaf 0x8000000a, virtualization (AMD APM volume 3, appendix E.4.9).
const XA_EDX: Word = Word {
    leaf: 0x8000_000a,
    subleaf: 0,
    register: Register::Edx,
};
/// Leaf 0x80000021, extended features 2 (AMD APM volume 3, appendix E.4.22).
const X21_EAX: Word = Word {
    leaf: 0x8000_0021,
    subleaf: 0,
    register: Register::Eax,
};
/// KVM's paravirtual features (Linux, `Documentation/virt/kvm/x86/cpuid.rst`).
const KVM_EAX: Word = Word {
    leaf: 0x4000_0001,
    subleaf: 0,
    register: Register::Eax,
};
/// KVM's hints (the same).
const KVM_EDX: Word = Word {
    leaf: 0x4000_0001,
    subleaf: 0,
    register: Register::Edx,
};

/// The feature of that name at one bit of a word.
const fn at(name: &'static str, word: Word, bit: u32) -> Feature {
    Feature {
        name,
        word,
        bits: 1 << bit,
    }
}

/// Every feature that has a name, sorted by it.
#[rustfmt::skip]
pub(super) const FEATURES: &[Feature] = &[
    at("3dnow", X1_EDX, 31),
    at("3dnowext", X1_EDX, 30),
    at("3dnowprefetch", X1_ECX, 8),
    at("abm", X1_ECX, 5),
    at("acpi", L1_EDX, 22),
    at("adx", L7_EBX, 19),
    at("aes", L1_ECX, 25),
    at("amd-no-ssb", X8_EBX, 26),
    at("amd-psfd", X8_EBX, 28),
    at("amd-ssbd", X8_EBX, 24),
    at("amd-stibp", X8_EBX, 15),
    at("amx-bf16", L7_EDX, 22),
    at("amx-complex", L7_1_EDX, 8),
    at("amx-fp16", L7_1_EAX, 21),
    at("amx-int8", L7_EDX, 25),
    at("amx-tile", L7_EDX, 24),
    at("apic", L1_EDX, 9),
    at("arat", L6_EAX, 2),
    at("arch-capabilities", L7_EDX, 29),
    at("arch-lbr", L7_EDX, 19),
    at("auto-ibrs", X21_EAX, 8),
    at("avic", XA_EDX, 13),
    at("avx", L1_ECX, 28),
    at("avx-ifma", L7_1_EAX, 23),
    at("avx-ne-convert", L7_1_EDX, 5),
    at("avx-vnni", L7_1_EAX, 4),
    at("avx-vnni-int16", L7_1_EDX, 10),
    at("avx-vnni-int8", L7_1_EDX, 4),
    at("avx2", L7_EBX, 5),
    at("avx512-4fmaps", L7_EDX, 3),
    at("avx512-4vnniw", L7_EDX, 2),
    at("avx512-bf16", L7_1_EAX, 5),
    at("avx512-fp16", L7_EDX, 23),
    at("avx512-vp2intersect", L7_EDX, 8),
    at("avx512-vpopcntdq", L7_ECX, 14),
    at("avx512bitalg", L7_ECX, 12),
    at("avx512bw", L7_EBX, 30),
    at("avx512cd", L7_EBX, 28),
    at("avx512dq", L7_EBX, 17),
    at("avx512er", L7_EBX, 27),
    at("avx512f", L7_EBX, 16),
    at("avx512ifma", L7_EBX, 21),
    at("avx512pf", L7_EBX, 26),
    at("avx512vbmi", L7_ECX, 1),
    at("avx512vbmi2", L7_ECX, 6),
    at("avx512vl", L7_EBX, 31),
    at("avx512vnni", L7_ECX, 11),
    at("bhi-ctrl", L7_2_EDX, 4),
    at("bmi1", L7_EBX, 3),
    at("bmi2", L7_EBX, 8),
    at("bus-lock-detect", L7_ECX, 24),
    at("cid", L1_ECX, 10),
    at("cldemote", L7_ECX, 25),
    at("clflush", L1_EDX, 19),
    at("clflushopt", L7_EBX, 23),
    at("clwb", L7_EBX, 24),
    at("clzero", X8_EBX, 0),
    at("cmov", L1_EDX, 15),
    at("cmp-legacy", X1_ECX, 1),
    at("cmpccxadd", L7_1_EAX, 7),
    at("core-capability", L7_EDX, 30),
    at("cr8legacy", X1_ECX, 4),
    at("cx16", L1_ECX, 13),
    at("cx8", L1_EDX, 8),
    at("dca", L1_ECX, 18),
    at("ddpd-u", L7_2_EDX, 3),
    at("de", L1_EDX, 2),
    at("decodeassists", XA_EDX, 7),
    at("ds", L1_EDX, 21),
    at("ds-cpl", L1_ECX, 4),
    at("dtes64", L1_ECX, 2),
    at("erms", L7_EBX, 9),
    at("est", L1_ECX, 7),
    at("extapic", X1_ECX, 3),
    at("f16c", L1_ECX, 29),
    at("fdp-excptn-only", L7_EBX, 6),
    at("flush-l1d", L7_EDX, 28),
    at("flushbyasid", XA_EDX, 6),
    at("fma", L1_ECX, 12),
    at("fma4", X1_ECX, 16),
    at("fpu", L1_EDX, 0),
    at("fred", L7_1_EAX, 17),
    at("fsgsbase", L7_EBX, 0),
    at("fsrc", L7_1_EAX, 12),
    at("fsrm", L7_EDX, 4),
    at("fsrs", L7_1_EAX, 11),
    at("fxsr", L1_EDX, 24),
    at("fxsr-opt", X1_EDX, 25),
    at("fzrm", L7_1_EAX, 10),
    at("gfni", L7_ECX, 8),
    at("hle", L7_EBX, 4),
    at("ht", L1_EDX, 28),
    at("hypervisor", L1_ECX, 31),
    at("ia64", L1_EDX, 30),
    at("ibpb", X8_EBX, 12),
    at("ibrs", X8_EBX, 14),
    at("ibs", X1_ECX, 10),
    at("ibt", L7_EDX, 20),
    at("intel-psfd", L7_2_EDX, 0),
    at("intel-pt", L7_EBX, 25),
    at("invpcid", L7_EBX, 10),
    at("invtsc", X7_EDX, 8),
    at("ipred-ctrl", L7_2_EDX, 1),
    at("kvm-asyncpf", KVM_EAX, 4),
    at("kvm-asyncpf-int", KVM_EAX, 14),
    at("kvm-asyncpf-vmexit", KVM_EAX, 10),
    at("kvm-hint-dedicated", KVM_EDX, 0),
    at("kvm-mmu", KVM_EAX, 2),
    at("kvm-msi-ext-dest-id", KVM_EAX, 15),
    at("kvm-nopiodelay", KVM_EAX, 1),
    at("kvm-poll-control", KVM_EAX, 12),
    at("kvm-pv-eoi", KVM_EAX, 6),
    at("kvm-pv-ipi", KVM_EAX, 11),
    at("kvm-pv-sched-yield", KVM_EAX, 13),
    at("kvm-pv-tlb-flush", KVM_EAX, 9),
    at("kvm-pv-unhalt", KVM_EAX, 7),
    at("kvm-steal-time", KVM_EAX, 5),
    // The clock in its first and its present form, which go together.
    Feature { name: "kvmclock", word: KVM_EAX, bits: 1 << 0 | 1 << 3 },
    at("kvmclock-stable-bit", KVM_EAX, 24),
    at("la57", L7_ECX, 16),
    at("lahf-lm", X1_ECX, 0),
    at("lam", L7_1_EAX, 26),
    at("lbrv", XA_EDX, 1),
    at("lfence-always-serializing", X21_EAX, 2),
    at("lkgs", L7_1_EAX, 18),
    at("lm", X1_EDX, 29),
    at("lwp", X1_ECX, 15),
    at("mca", L1_EDX, 14),
    at("mcdt-no", L7_2_EDX, 5),
    at("mce", L1_EDX, 7),
    at("md-clear", L7_EDX, 10),
    at("misalignsse", X1_ECX, 7),
    at("mmx", L1_EDX, 23),
    at("mmxext", X1_EDX, 22),
    at("monitor", L1_ECX, 3),
    at("movbe", L1_ECX, 22),
    at("movdir64b", L7_ECX, 28),
    at("movdiri", L7_ECX, 27),
    at("mp", X1_EDX, 19),
    at("mpx", L7_EBX, 14),
    at("msr", L1_EDX, 5),
    at("mtrr", L1_EDX, 12),
    at("no-nested-data-bp", X21_EAX, 0),
    at("nodeid-msr", X1_ECX, 19),
    at("npt", XA_EDX, 0),
    at("nrip-save", XA_EDX, 3),
    at("null-sel-clr-base", X21_EAX, 6),
    at("nx", X1_EDX, 20),
    at("ospke", L7_ECX, 4),
    at("osvw", X1_ECX, 9),
    at("osxsave", L1_ECX, 27),
    at("overflow-recov", X7_EBX, 0),
    at("pae", L1_EDX, 6),
    at("pat", L1_EDX, 16),
    at("pause-filter", XA_EDX, 10),
    at("pbe", L1_EDX, 31),
    at("pcid", L1_ECX, 17),
    at("pclmulqdq", L1_ECX, 1),
    at("pcommit", L7_EBX, 22),
    at("pdcm", L1_ECX, 15),
    at("pdpe1gb", X1_EDX, 26),
    at("perfctr-core", X1_ECX, 23),
    at("perfctr-nb", X1_ECX, 24),
    at("pfthreshold", XA_EDX, 12),
    at("pge", L1_EDX, 13),
    at("pks", L7_ECX, 31),
    at("pku", L7_ECX, 3),
    at("pn", L1_EDX, 18),
    at("pni", L1_ECX, 0),
    at("popcnt", L1_ECX, 23),
    at("prefetchiti", L7_1_EDX, 14),
    at("pse", L1_EDX, 3),
    at("pse36", L1_EDX, 17),
    at("rdpid", L7_ECX, 22),
    at("rdrand", L1_ECX, 30),
    at("rdseed", L7_EBX, 18),
    at("rdtscp", X1_EDX, 27),
    at("rrsba-ctrl", L7_2_EDX, 2),
    at("rtm", L7_EBX, 11),
    at("sep", L1_EDX, 11),
    at("serialize", L7_EDX, 14),
    at("sgx", L7_EBX, 2),
    at("sgxlc", L7_ECX, 30),
    at("sha-ni", L7_EBX, 29),
    at("sha512", L7_1_EAX, 0),
    at("shstk", L7_ECX, 7),
    at("skinit", X1_ECX, 12),
    at("sm3", L7_1_EAX, 1),
    at("sm4", L7_1_EAX, 2),
    at("smap", L7_EBX, 20),
    at("smep", L7_EBX, 7),
    at("smx", L1_ECX, 6),
    at("spec-ctrl", L7_EDX, 26),
    at("ss", L1_EDX, 27),
    at("ssbd", L7_EDX, 31),
    at("sse", L1_EDX, 25),
    at("sse2", L1_EDX, 26),
    at("sse4.1", L1_ECX, 19),
    at("sse4.2", L1_ECX, 20),
    at("sse4a", X1_ECX, 6),
    at("ssse3", L1_ECX, 9),
    at("stibp", L7_EDX, 27),
    at("stibp-always-on", X8_EBX, 17),
    at("succor", X7_EBX, 1),
    at("svm", X1_ECX, 2),
    at("svm-lock", XA_EDX, 2),
    at("svme-addr-chk", XA_EDX, 28),
    at("syscall", X1_EDX, 11),
    at("tbm", X1_ECX, 21),
    at("tce", X1_ECX, 17),
    at("tm", L1_EDX, 29),
    at("tm2", L1_ECX, 8),
    at("topoext", X1_ECX, 22),
    at("tsc", L1_EDX, 4),
    at("tsc-adjust", L7_EBX, 1),
    at("tsc-deadline", L1_ECX, 24),
    at("tsc-scale", XA_EDX, 4),
    at("tsx-ldtrk", L7_EDX, 16),
    at("umip", L7_ECX, 2),
    at("v-vmsave-vmload", XA_EDX, 15),
    at("vaes", L7_ECX, 9),
    at("vgif", XA_EDX, 16),
    at("virt-ssbd", X8_EBX, 25),
    at("vmcb-clean", XA_EDX, 5),
    at("vme", L1_EDX, 1),
    at("vmx", L1_ECX, 5),
    at("vnmi", XA_EDX, 25),
    at("vpclmulqdq", L7_ECX, 10),
    at("waitpkg", L7_ECX, 5),
    at("wbnoinvd", X8_EBX, 9),
    at("wdt", X1_ECX, 13),
    at("wrmsrns", L7_1_EAX, 19),
    at("x2apic", L1_ECX, 21),
    at("xfd", LD_1_EAX, 4),
    at("xgetbv1", LD_1_EAX, 2),
    at("xop", X1_ECX, 11),
    at("xsave", L1_ECX, 26),
    at("xsavec", LD_1_EAX, 1),
    at("xsaveerptr", X8_EBX, 2),
    at("xsaveopt", LD_1_EAX, 0),
    at("xsaves", LD_1_EAX, 3),
    at("xtpr", L1_ECX, 14),
    at("zero-fcs-fds", L7_EBX, 13),
];

/// Other names that are in use, sorted, and the feature that each means.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("ffxsr", "fxsr-opt"),
    ("i64", "lm"),
    ("pclmuldq", "pclmulqdq"),
    ("sha", "sha-ni"),
    ("sse3", "pni"),
    ("sse4-1", "sse4.1"),
    ("sse4-2", "sse4.2"),
    ("xd", "nx"),
];
