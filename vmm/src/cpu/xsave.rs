//! Leaf 0xd: which processor state XSAVE manages, kept in step with the features that use it.

use super::features::find;
use super::leaves::Leaves;

/// State components (Intel SDM volume 1, section 13.1) and the features that use each: the bit of
/// `xcr0`, or of `IA32_XSS` where supervisor state. x87 and SSE, bits 0 and 1, always go with
/// XSAVE.
const COMPONENTS: [(u32, &[&str]); 13] = [
    (2, &["avx"]),
    (3, &["mpx"]),
    (4, &["mpx"]),
    (5, &["avx512f"]),
    (6, &["avx512f"]),
    (7, &["avx512f"]),
    (8, &["intel-pt"]),
    (9, &["pku"]),
    (11, &["shstk", "ibt"]),
    (12, &["shstk", "ibt"]),
    (15, &["arch-lbr"]),
    (17, &["amx-tile"]),
    (18, &["amx-tile"]),
];

/// Bytes of the legacy area and header of an XSAVE area (Intel SDM volume 1, section 13.4).
const LEAST_SIZE: u32 = 576;

/// Removes from leaf 0xd what no feature uses, and all of it without XSAVE.
pub(super) fn trim(leaves: &mut Leaves) {
    if !find("xsave").is_some_and(|xsave| leaves.has(xsave)) {
        leaves.retain(|entry| entry.function != 0xd);
        return;
    }
    // What no feature here speaks of is left as the kernel gives it.
    let mut unused = 0_u32;
    for (bit, users) in COMPONENTS {
        let mut users = users.iter().filter_map(|name| find(name));
        if !users.any(|feature| leaves.has(feature)) {
            unused |= 1 << bit;
        }
    }
    leaves.retain(|entry| {
        let component = 1_u32.checked_shl(entry.index).unwrap_or(0);
        entry.function != 0xd || entry.index < 2 || unused & component == 0
    });
    // The area of the standard format ends with the component that ends last.
    let size = (2..63)
        .filter_map(|index| leaves.find(0xd, index))
        // Bit 0 of `ecx`: supervisor state, which the standard format has no place for.
        .filter(|entry| entry.ecx & 1 == 0)
        .map(|entry| entry.eax.saturating_add(entry.ebx))
        .fold(LEAST_SIZE, u32::max);
    let user = leaves.entry(0xd, 0);
    user.eax &= !unused;
    user.ecx = size;
    // The kernel keeps `ebx`, the size of what is switched on, in step with `xcr0`, which is x87
    // alone at first.
    user.ebx = LEAST_SIZE;
    let supervisor = leaves.entry(0xd, 1);
    supervisor.ecx &= !unused;
}
