//! Finding the programs to test, built as the tests themselves are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

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

/// The program `palisade` of the profile that the tests were built with. It is built first, once in
/// a process, as cargo builds for a package's tests only the programs of that package.
pub fn palisade() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = profile_folder();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("profiles are named");
        build(&folder, if name == "debug" { "dev" } else { name })
    })
}

/// The program of a profile that may be another than the tests' own.
pub fn palisade_of(profile: Profile) -> PathBuf {
    let (folder, name) = match profile {
        Profile::Dev => ("debug", "dev"),
        Profile::Release => ("release", "release"),
    };
    build(&profile_folder().with_file_name(folder), name)
}

fn build(folder: &Path, profile: &str) -> PathBuf {
    let target = folder.parent().expect("a profile's folder is in the target folder");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command
        .args(["build", "--quiet", "--package", "palisade", "--bin", "palisade"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{command:?}: {}\n{said}", built.status);
    folder.join("palisade")
}
