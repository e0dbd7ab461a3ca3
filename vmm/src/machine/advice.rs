//! What the host's kernel is told about a part of the guest's memory.
#![allow(unsafe_code)] // `madvise(2)` takes raw addresses.

use std::{fmt, io};

use rustix::mm::{Advice as KernelAdvice, madvise};
use vm_memory::MmapRegion;

/// What the kernel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// That it may keep pages of the same contents only once.
    Merge,
    /// That they are not to be part of core dumps.
    LeaveOutOfDumps,
}

/// What the kernel is to do, as part of a message.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge pages of the same contents",
            Self::LeaveOutOfDumps => "leave memory out of core dumps",
        })
    }
}

/// Tells the kernel something about all of a mapping.
///
/// # Errors
/// If the kernel does no such thing.
pub(super) fn give(region: &MmapRegion, advice: Advice) -> io::Result<()> {
    let advice = match advice {
        Advice::Merge => KernelAdvice::LinuxMergeable,
        Advice::LeaveOutOfDumps => KernelAdvice::LinuxDontDump,
    };
    // SAFETY: the range is one mapping, which is alive as it is borrowed. Neither advice changes
    // what is read from it or where it is.
    Ok(unsafe { madvise(region.as_ptr().cast(), region.size(), advice) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags of the mapping that starts where the region does (`proc_pid_smaps(5)`).
    ///
    /// None if it is part of a larger one, as its neighbours may be of the same kind.
    fn flags_of(region: &MmapRegion) -> Option<String> {
        let start = format!("{:x}-", region.as_ptr() as usize);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mapping = maps.lines().skip_while(|line| !line.starts_with(&start));
        mapping.into_iter().find_map(|line| line.strip_prefix("VmFlags:")).map(str::to_owned)
    }

    #[test]
    fn the_kernel_does_as_it_is_told() {
        let region = MmapRegion::new(8 << 12).unwrap();
        for (advice, flag) in [(Advice::LeaveOutOfDumps, " dd"), (Advice::Merge, " mg")] {
            let has = || flags_of(&region).is_some_and(|flags| flags.contains(flag));
            assert!(!has());
            match give(&region, advice) {
                Ok(()) => assert!(has(), "{advice}: {:?}", flags_of(&region)),
                // A kernel without that is the one reason.
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{advice}"),
            }
        }
    }
}
