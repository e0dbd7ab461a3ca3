//! CPUID's leaves as a table that can be read and changed by word.

use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use super::features::{Feature, Register, Word};

/// Leaves whose answer depends on the subleaf (Intel SDM volume 2, CPUID; AMD APM volume 3,
/// appendix E).
const WITH_SUBLEAVES: [u32; 17] = [
    0x4,
    0x7,
    0xb,
    0xd,
    0xf,
    0x10,
    0x12,
    0x14,
    0x17,
    0x18,
    0x1d,
    0x1e,
    0x1f,
    0x24,
    0x8000_001d,
    0x8000_0020,
    0x8000_0026,
];

/// A table of CPUID's answers, with at most one for each leaf and subleaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaves(Vec<kvm_cpuid_entry2>);

impl Leaves {
    /// Takes the kernel's list.
    pub(super) fn new(entries: &[kvm_cpuid_entry2]) -> Self {
        Self(entries.to_vec())
    }

    /// The answer for `leaf` and `subleaf`.
    pub(super) fn find(&self, leaf: u32, subleaf: u32) -> Option<&kvm_cpuid_entry2> {
        self.0.iter().find(|entry| answers(entry, leaf, subleaf))
    }

    /// The answer for `leaf` and `subleaf`, made of zeros if there was none.
    pub(super) fn entry(&mut self, leaf: u32, subleaf: u32) -> &mut kvm_cpuid_entry2 {
        let at = self.0.iter().position(|entry| answers(entry, leaf, subleaf));
        let at = at.unwrap_or_else(|| {
            let flags =
                if WITH_SUBLEAVES.contains(&leaf) { KVM_CPUID_FLAG_SIGNIFCANT_INDEX } else { 0 };
            self.0.push(kvm_cpuid_entry2 {
                function: leaf,
                index: subleaf,
                flags,
                ..Default::default()
            });
            self.0.len() - 1
        });
        // `at` was just found or pushed.
        &mut self.0[at]
    }

    /// Every entry, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut kvm_cpuid_entry2> {
        self.0.iter_mut()
    }

    /// Drops the entries for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl FnMut(&kvm_cpuid_entry2) -> bool) {
        self.0.retain(keep);
    }

    /// The entries, sorted by leaf and subleaf.
    pub(super) fn into_sorted(mut self) -> Vec<kvm_cpuid_entry2> {
        self.0.sort_by_key(|entry| (entry.function, entry.index));
        self.0
    }

    /// A word of the answer, 0 if there is no such leaf.
    pub(super) fn word(&self, word: Word) -> u32 {
        self.find(word.leaf, word.subleaf).map_or(0, |entry| match word.register {
            Register::Eax => entry.eax,
            Register::Ebx => entry.ebx,
            Register::Ecx => entry.ecx,
            Register::Edx => entry.edx,
        })
    }

    /// Whether all bits of `feature` are set.
    pub(super) fn has(&self, feature: &Feature) -> bool {
        self.word(feature.word) & feature.bits == feature.bits
    }

    /// Sets or clears the bits of `feature`. Making room for a feature raises the greatest leaf
    /// or subleaf that the table states.
    pub(super) fn set(&mut self, feature: &Feature, on: bool) {
        let Word { leaf, subleaf, register } = feature.word;
        if !on && self.find(leaf, subleaf).is_none() {
            return;
        }
        let entry = self.entry(leaf, subleaf);
        let field = match register {
            Register::Eax => &mut entry.eax,
            Register::Ebx => &mut entry.ebx,
            Register::Ecx => &mut entry.ecx,
            Register::Edx => &mut entry.edx,
        };
        if on {
            *field |= feature.bits;
            self.reach(leaf);
            if leaf == 7 {
                let first = self.entry(7, 0);
                first.eax = first.eax.max(subleaf);
            }
        } else {
            *field &= !feature.bits;
        }
    }

    /// Raises the greatest leaf of the range of `leaf` to it: leaf 0 states that of the basic
    /// leaves, 0x8000_0000 of the extended and 0x4000_0000 of the hypervisor's.
    pub(super) fn reach(&mut self, leaf: u32) {
        let first = self.entry(leaf & 0xf000_0000, 0);
        first.eax = first.eax.max(leaf);
    }
}

/// Whether `entry` is the answer for `leaf` and `subleaf`.
fn answers(entry: &kvm_cpuid_entry2, leaf: u32, subleaf: u32) -> bool {
    let indexed = entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX != 0;
    entry.function == leaf && (!indexed || entry.index == subleaf)
}
