//! What a guest, a file or a command line may throw at the monitor, and what must hold then.
//!
//! A target is a function of bytes that panics if something does not hold. `cargo xtask fuzz` runs
//! it under libFuzzer; the tests here run it on the seeds alone. To add one, write a file in
//! `targets` that submits a [`Target`], and a folder of seeds, `seeds/NAME`. Each target names the
//! types that it covers, and [`coverage`] tells which are left.

mod board;
pub mod coverage;
mod input;
mod targets;
mod virtio;

// For their types, which the linker would leave out otherwise.
use devices as _;
use vmm as _;

/// The environment variable that names the target to the fuzzer.
pub const TARGET_VARIABLE: &str = "PALISADE_FUZZ_TARGET";

/// Something to fuzz. The file of each submits it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder of seeds too.
    pub name: &'static str,
    /// The names of the types whose boundary it attacks.
    pub covers: &'static [&'static str],
    /// Judges one input.
    pub run: fn(&[u8]),
}

inventory::collect!(Target);

/// Every target, sorted by name.
#[must_use]
pub fn targets() -> Vec<&'static Target> {
    let mut targets: Vec<_> = inventory::iter::<Target>().collect();
    targets.sort_unstable_by_key(|target| target.name);
    targets
}

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    inventory::iter::<Target>().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn seeds() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
    }

    #[test]
    fn targets_have_names_of_their_own_and_are_found_by_them() {
        assert!(targets().is_sorted_by(|one, next| one.name < next.name));
        assert_eq!(find("serial").map(|target| target.name), Some("serial"));
        assert!(find("parallel").is_none());
    }

    #[test]
    fn the_folders_of_seeds_are_those_of_the_targets() {
        let mut folders: Vec<_> = fs::read_dir(seeds())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort_unstable();
        assert_eq!(folders, targets().iter().map(|target| target.name).collect::<Vec<_>>());
    }

    #[test]
    fn every_target_holds_on_its_seeds() {
        for target in targets() {
            let mut count = 0;
            for seed in fs::read_dir(seeds().join(target.name)).unwrap() {
                let seed = seed.unwrap().path();
                println!("{}", seed.display());
                (target.run)(&fs::read(seed).unwrap());
                count += 1;
            }
            assert!(count > 0, "the target '{}' has no seeds", target.name);
            (target.run)(&[]);
        }
    }
}
