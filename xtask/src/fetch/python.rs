//! A Python environment with what tests in that language need, at the versions and hashes that the
//! repository names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use super::Lists;
use crate::{apt, workspace};

/// Interpreters to make it with, the first that can.
const INTERPRETERS: [&str; 2] = ["python3", "/usr/bin/python3"];
/// The package that makes the last of them one that can.
const PACKAGE: &str = "python3-venv";
/// Has exit status 0 from an interpreter that can make an environment with an installer in it.
const CAN_MAKE_ONE: &str = "import ensurepip, venv";
/// What an environment has once it is whole: a copy of the requirements that it was made for.
const MADE_FOR: &str = "made-for.txt";

/// Where it is.
fn folder() -> PathBuf {
    workspace::cache().join("venv")
}

/// The interpreter of an environment, below its folder.
const INTERPRETER: &str = "bin/python";

/// Its interpreter.
pub(super) fn interpreter() -> PathBuf {
    folder().join(INTERPRETER)
}

/// Makes the environment, unless it is there for the requirements as they are now.
pub(super) fn fetch(lists: &mut Lists) -> Result<()> {
    let requirements = workspace::root().join("tests/python/requirements.txt");
    let cache = workspace::cache();
    fs::create_dir_all(&cache)?;
    // It can't be made elsewhere and moved, since its programs name its path.
    let lock = fs::File::create(cache.join("venv.lock"))?;
    flock(&lock, FlockOperation::LockExclusive).context("can't wait for another fetch")?;
    if is_made_for(&folder(), &requirements) {
        return Ok(());
    }
    let python = with_venv(lists)?;
    make(python, &folder(), &requirements).context("can't make a Python environment")
}

/// Whether the environment is whole and has what is required.
fn is_made_for(folder: &Path, requirements: &Path) -> bool {
    match (fs::read(folder.join(MADE_FOR)), fs::read(requirements)) {
        // It leads to an interpreter of the system's, which may have gone.
        (Ok(made_for), Ok(required)) => made_for == required && folder.join(INTERPRETER).exists(),
        _ => false,
    }
}

/// An interpreter that can make environments, which is installed if there is none.
fn with_venv(lists: &mut Lists) -> Result<&'static str> {
    let find =
        || INTERPRETERS.into_iter().find(|python| run(python, &["-c", CAN_MAKE_ONE]).is_ok());
    if let Some(python) = find() {
        return Ok(python);
    }
    lists.retry(|| apt::install(&[PACKAGE])).context("can't install Python")?;
    find().with_context(|| format!("no interpreter can make an environment, even with {PACKAGE}"))
}

fn make(python: &str, folder: &Path, requirements: &Path) -> Result<()> {
    eprintln!("xtask: python3 -m venv, pip install -r {}", requirements.display());
    let (folder_text, requirements_text) =
        (folder.to_string_lossy(), requirements.to_string_lossy());
    run(python, &["-m", "venv", "--clear", &folder_text])?;
    let installer = folder.join(INTERPRETER);
    run(
        &installer.to_string_lossy(),
        &["-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", &requirements_text],
    )?;
    fs::copy(requirements, folder.join(MADE_FOR))?;
    Ok(())
}

/// Runs an interpreter to its end; fails with what it says if it fails.
fn run(python: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(python)
        .args(arguments)
        .output()
        .with_context(|| format!("can't run {python}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{python} {} failed ({}): {}",
        arguments.join(" "),
        output.status,
        said.trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_anew_when_other_versions_are_required() {
        let scratch = tempfile::tempdir().unwrap();
        let (folder, requirements) = (scratch.path().join("venv"), scratch.path().join("list"));
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(folder.join(INTERPRETER), "").unwrap();
        fs::write(&requirements, "a==1").unwrap();
        assert!(!is_made_for(&folder, &requirements), "it is not whole");
        fs::write(folder.join(MADE_FOR), "a==1").unwrap();
        assert!(is_made_for(&folder, &requirements));
        fs::write(&requirements, "a==2").unwrap();
        assert!(!is_made_for(&folder, &requirements));
        fs::write(&requirements, "a==1").unwrap();
        fs::remove_file(folder.join(INTERPRETER)).unwrap();
        assert!(!is_made_for(&folder, &requirements), "nothing can run in it");
        fs::remove_file(&requirements).unwrap();
        assert!(!is_made_for(&folder, &requirements));
    }

    #[test]
    fn a_failure_tells_what_was_run_and_what_it_said() {
        let error = run("sh", &["-c", "echo no module >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("no module"), "{error}");
        assert!(run("/nowhere/python", &[]).unwrap_err().to_string().contains("/nowhere/python"));
    }
}
