//! Finding the programs to test, built as the tests themselves are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Packages, and the programs in them.
pub(crate) const PALISADE: &str = "palisade";
const THIRD_PARTY_VMM: &str = "third-party-vmm";
const MATRIX_VMM: &str = "matrix-vmm";
const EMPTY_VMM: &str = "empty-vmm";

/// A profile that cargo has by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// What users get.
    Release,
}

/// The folder of the running test's profile, in the target folder: tests are in its `deps`.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a process knows its executable");
    let folder = test.parent().and_then(Path::parent).expect("a test is in a profile's `deps`");
    folder.to_path_buf()
}

/// A program that tests start, of the profile that they were built with. All of them are built
/// first, once in a process: for a package's tests, cargo builds only the programs of that package.
fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = profile_folder();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("profiles are named");
        let packages = [PALISADE, THIRD_PARTY_VMM, MATRIX_VMM, EMPTY_VMM];
        build(&folder, if name == "debug" { "dev" } else { name }, &packages);
        folder
    });
    folder.join(name)
}

/// The program `palisade`.
pub fn palisade() -> PathBuf {
    program(PALISADE)
}

/// A monitor with types of a third party's.
pub fn third_party_vmm() -> PathBuf {
    program(THIRD_PARTY_VMM)
}

/// A monitor with types of each security status, for each way to create something.
pub fn matrix_vmm() -> PathBuf {
    program(MATRIX_VMM)
}

/// A monitor that names a crate for types that it does not have.
pub fn empty_vmm() -> PathBuf {
    program(EMPTY_VMM)
}

/// `palisade` of a profile that may be another than the tests' own.
pub fn palisade_of(profile: Profile) -> PathBuf {
    let (folder, name) = match profile {
        Profile::Dev => ("debug", "dev"),
        Profile::Release => ("release", "release"),
    };
    let folder = profile_folder().with_file_name(folder);
    build(&folder, name, &[PALISADE]);
    folder.join(PALISADE)
}

fn build(folder: &Path, profile: &str, packages: &[&str]) {
    // Cargo puts the folder of the triple that it builds for in between, as it did for this test.
    let triple = folder.parent().expect("a profile's folder is in its triple's");
    let target = triple.parent().expect("a triple's folder is in the target folder");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command.args(["build", "--quiet", "--bins", "--profile", profile, "--target-dir"]).arg(target);
    for package in packages {
        command.args(["--package", package]);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{command:?}: {}\n{said}", built.status);
}
