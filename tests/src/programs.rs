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

/// The folder of the development profile, which cargo calls otherwise.
fn dev_folder() -> PathBuf {
    profile_folder().with_file_name("debug")
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

/// The arguments with which cargo builds a monitor with the types of [`matrix_vmm`] and without the
/// policy's check.
const UNCHECKED: [&str; 4] =
    ["--package=matrix-vmm", "--features=unchecked", "--bin", "unchecked-matrix-vmm"];

/// As [`matrix_vmm`], without the policy's check. Other projects' crates need no second build for it,
/// and cargo keeps what a compiler in a wrapper has made of this project's crates apart.
pub fn unchecked_matrix_vmm() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| {
        succeeds(&mut without_the_check(&UNCHECKED));
        dev_folder().join("unchecked-matrix-vmm")
    });
    built.clone()
}

/// Has cargo build `palisade` without the policy's check, which has to fail. What is said of that.
pub fn unchecked_palisade() -> String {
    unchecked_matrix_vmm();
    let mut command = without_the_check(&["--package", PALISADE]);
    let built = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(!built.status.success(), "{command:?}: {}", built.status);
    String::from_utf8_lossy(&built.stderr).into_owned()
}

/// A build in which this project's crates have no check of the policy.
fn without_the_check(arguments: &[&str]) -> Command {
    let wrapper = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix-vmm/unchecked-rustc");
    let mut command = cargo_build(&dev_folder(), "dev");
    command.args(arguments).env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    command
}

/// A monitor that names a crate for types that it does not have.
pub fn empty_vmm() -> PathBuf {
    program(EMPTY_VMM)
}

/// `palisade` of a profile that may be another than the tests' own.
pub fn palisade_of(profile: Profile) -> PathBuf {
    let (folder, name) = match profile {
        Profile::Dev => (dev_folder(), "dev"),
        Profile::Release => (profile_folder().with_file_name("release"), "release"),
    };
    build(&folder, name, &[PALISADE]);
    folder.join(PALISADE)
}

fn build(folder: &Path, profile: &str, packages: &[&str]) {
    let mut command = cargo_build(folder, profile);
    command.arg("--bins");
    for package in packages {
        command.args(["--package", package]);
    }
    succeeds(&mut command);
}

/// A build into the target folder that a profile's folder is in.
fn cargo_build(folder: &Path, profile: &str) -> Command {
    // Cargo puts the folder of the triple that it builds for in between, as it did for this test.
    let triple = folder.parent().expect("a profile's folder is in its triple's");
    let target = triple.parent().expect("a triple's folder is in the target folder");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command.args(["build", "--quiet", "--profile", profile, "--target-dir"]).arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn succeeds(command: &mut Command) {
    let built = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{command:?}: {}\n{said}", built.status);
}
