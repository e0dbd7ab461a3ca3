//! Which CPU features make no sense without which others.
//!
//! A processor that has the first has the others, so guests test for the first alone. From
//! the manuals' descriptions of each instruction set (Intel SDM volume 1, chapters 13 to 18;
//! AMD APM volumes 1 and 4).

/// Features and what each needs, directly.
pub(super) const NEEDS: &[(&str, &[&str])] = &[
    // What XSAVE manages. Without it a guest can't switch the state of these on.
    ("avx", &["xsave", "sse4.2"]),
    ("mpx", &["xsave"]),
    ("pku", &["xsave"]),
    ("lwp", &["xsave"]),
    ("xsavec", &["xsave"]),
    ("xsaveopt", &["xsave"]),
    ("xgetbv1", &["xsave"]),
    ("xsaves", &["xsave", "xsavec"]),
    ("xfd", &["xsave"]),
    ("amx-tile", &["xsave", "xfd"]),
    ("amx-bf16", &["amx-tile"]),
    ("amx-complex", &["amx-tile"]),
    ("amx-fp16", &["amx-tile"]),
    ("amx-int8", &["amx-tile"]),
    ("arch-lbr", &["xsaves"]),
    ("xsaveerptr", &["xsave"]),
    // Vectors, from the oldest on.
    ("sse", &["fxsr"]),
    ("fxsr-opt", &["fxsr"]),
    ("sse2", &["sse"]),
    ("pni", &["sse2"]),
    ("ssse3", &["pni"]),
    ("sse4.1", &["ssse3"]),
    ("sse4.2", &["sse4.1"]),
    ("sse4a", &["pni"]),
    ("misalignsse", &["sse"]),
    ("aes", &["sse2"]),
    ("pclmulqdq", &["sse2"]),
    ("sha-ni", &["sse2"]),
    ("gfni", &["sse2"]),
    ("mmxext", &["mmx"]),
    ("3dnow", &["mmx"]),
    ("3dnowext", &["3dnow"]),
    ("f16c", &["avx"]),
    ("fma", &["avx"]),
    ("fma4", &["avx"]),
    ("xop", &["avx"]),
    ("avx2", &["avx"]),
    ("vaes", &["avx", "aes"]),
    ("vpclmulqdq", &["avx", "pclmulqdq"]),
    ("avx-ifma", &["avx2"]),
    ("avx-ne-convert", &["avx2"]),
    ("avx-vnni", &["avx2"]),
    ("avx-vnni-int16", &["avx2"]),
    ("avx-vnni-int8", &["avx2"]),
    ("sha512", &["avx2"]),
    ("sm3", &["avx"]),
    ("sm4", &["avx2"]),
    ("avx512f", &["avx2", "fma"]),
    ("avx512-4fmaps", &["avx512f"]),
    ("avx512-4vnniw", &["avx512f"]),
    ("avx512-bf16", &["avx512bw"]),
    ("avx512-fp16", &["avx512bw", "avx512dq", "avx512vl"]),
    ("avx512-vp2intersect", &["avx512f"]),
    ("avx512-vpopcntdq", &["avx512f"]),
    ("avx512bitalg", &["avx512bw"]),
    ("avx512bw", &["avx512f"]),
    ("avx512cd", &["avx512f"]),
    ("avx512dq", &["avx512f"]),
    ("avx512er", &["avx512f"]),
    ("avx512ifma", &["avx512f"]),
    ("avx512pf", &["avx512f"]),
    ("avx512vbmi", &["avx512bw"]),
    ("avx512vbmi2", &["avx512bw"]),
    ("avx512vl", &["avx512f"]),
    ("avx512vnni", &["avx512f"]),
    // The local APIC.
    ("extapic", &["apic"]),
    ("tsc-deadline", &["apic", "tsc"]),
    ("x2apic", &["apic"]),
    ("kvm-asyncpf-int", &["apic", "kvm-asyncpf"]),
    ("kvm-asyncpf-vmexit", &["kvm-asyncpf"]),
    ("kvm-msi-ext-dest-id", &["apic"]),
    ("kvm-pv-eoi", &["apic"]),
    ("kvm-pv-ipi", &["apic"]),
    ("kvm-pv-unhalt", &["apic"]),
    ("kvm-pv-sched-yield", &["apic"]),
    // Time.
    ("invtsc", &["tsc"]),
    ("kvmclock", &["tsc"]),
    ("kvmclock-stable-bit", &["kvmclock"]),
    ("rdtscp", &["tsc"]),
    ("tsc-adjust", &["tsc"]),
    // Paging and modes.
    ("lm", &["pae"]),
    ("pdpe1gb", &["lm"]),
    ("la57", &["lm"]),
    ("lam", &["lm"]),
    ("lahf-lm", &["lm"]),
    ("pcid", &["lm"]),
    ("cx16", &["cx8"]),
    ("fsgsbase", &["lm"]),
    ("pks", &["lm"]),
    ("fred", &["lkgs", "wrmsrns"]),
    ("lkgs", &["lm"]),
    ("ospke", &["pku"]),
    ("osxsave", &["xsave"]),
    ("mca", &["mce"]),
    ("overflow-recov", &["mca"]),
    ("succor", &["mca"]),
    // Transactions, enclaves, virtualization.
    ("tsx-ldtrk", &["rtm"]),
    ("sgxlc", &["sgx"]),
    ("npt", &["svm"]),
    ("lbrv", &["svm"]),
    ("svm-lock", &["svm"]),
    ("nrip-save", &["svm"]),
    ("tsc-scale", &["svm"]),
    ("vmcb-clean", &["svm"]),
    ("flushbyasid", &["svm"]),
    ("decodeassists", &["svm"]),
    ("pause-filter", &["svm"]),
    ("pfthreshold", &["pause-filter"]),
    ("avic", &["npt"]),
    ("v-vmsave-vmload", &["npt"]),
    ("vgif", &["svm"]),
    ("vnmi", &["vgif"]),
    ("svme-addr-chk", &["svm"]),
    ("skinit", &["svm"]),
];

#[cfg(test)]
mod tests {
    use super::super::features::find;
    use super::*;

    #[test]
    fn every_name_is_a_features_own_and_listed_once() {
        for (index, (feature, needed)) in NEEDS.iter().enumerate() {
            for name in needed.iter().chain([feature]) {
                assert_eq!(find(name).map(|found| found.name), Some(*name));
            }
            assert!(!needed.is_empty());
            assert!(NEEDS[..index].iter().all(|(other, _)| other != feature), "{feature}");
        }
    }

    #[test]
    fn no_feature_needs_itself_however_indirectly() {
        for (feature, _) in NEEDS {
            let mut reached = vec![find(feature).unwrap()];
            let mut next = 0;
            while let Some(at) = reached.get(next) {
                for needed in at.needs() {
                    assert_ne!(needed.name, *feature);
                    if !reached.contains(&needed) {
                        reached.push(needed);
                    }
                }
                next += 1;
            }
        }
    }
}
