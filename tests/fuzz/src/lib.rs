//! What a guest, a file or a command line may throw at the monitor, and what must hold then.
//!
//! A target is a function of bytes that panics if something does not hold. `cargo xtask fuzz` runs
//! it under libFuzzer; the tests here run it on the seeds alone. To add one, write a file in
//! `targets`, a line in [`TARGETS`] and a folder of seeds, `seeds/NAME`.

mod input;
mod targets;

/// The environment variable that names the target to the fuzzer.
pub const TARGET_VARIABLE: &str = "PALISADE_FUZZ_TARGET";

/// Something to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder of seeds too.
    pub name: &'static str,
    /// Judges one input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Every target, sorted by name.
pub const TARGETS: &[Target] = &[
    target("boot", targets::boot::run),
    target("bus", targets::bus::run),
    target("bzimage", targets::bzimage::run),
    target("command-line", targets::command_line::run),
    target("config-file", targets::config_file::run),
    target("cpu-features", targets::cpu_features::run),
    target("cpu-model", targets::cpu_model::run),
    target("debug-exit", targets::debug_exit::run),
    target("debugcon", targets::debugcon::run),
    target("decompress", targets::decompress::run),
    target("elf", targets::elf::run),
    target("ged", targets::ged::run),
    target("globals", targets::globals::run),
    target("i8042", targets::i8042::run),
    target("initrd", targets::initrd::run),
    target("ioapic", targets::ioapic::run),
    target("json", targets::json::run),
    target("keyval", targets::keyval::run),
    target("mc146818rtc", targets::mc146818rtc::run),
    target("pvpanic", targets::pvpanic::run),
    target("serial", targets::serial::run),
    target("size", targets::size::run),
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn seeds() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
    }

    #[test]
    fn targets_are_sorted_and_found_by_name() {
        assert!(TARGETS.is_sorted_by(|one, next| one.name < next.name));
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
        assert_eq!(folders, TARGETS.iter().map(|target| target.name).collect::<Vec<_>>());
    }

    #[test]
    fn every_target_holds_on_its_seeds() {
        for target in TARGETS {
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
