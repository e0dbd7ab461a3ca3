//! Debian's package tools: what is in the archive, installing, downloading, unpacking.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};

/// Runs one of the tools and gives its output; fails with what it says if it fails.
fn output(command: &mut Command) -> Result<Output> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").output();
    let output = output.with_context(|| {
        format!("can't run {tool}: this task works on Debian and what descends from it")
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{tool} {} failed ({}): {}", arguments.join(" "), output.status, said.trim())
}

/// Fails unless this process may change what is installed.
fn need_root(what: &str) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "{what} takes root; run this task as root once");
    Ok(())
}

/// Brings the lists of packages up to date.
pub(crate) fn update() -> Result<()> {
    need_root("apt-get update")?;
    eprintln!("xtask: apt-get update");
    // Without this a network that is down is only a warning.
    output(Command::new("apt-get").args(["update", "-q", "-o", "APT::Update::Error-Mode=any"]))
        .context("can't reach the distribution's archive")?;
    Ok(())
}

/// Installs packages, with what they depend on and no more.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    need_root(&format!("apt-get install {}", packages.join(" ")))?;
    eprintln!("xtask: apt-get install {}", packages.join(" "));
    output(
        Command::new("apt-get")
            .args(["install", "-q", "-y", "--no-install-recommends", "--"])
            .args(packages),
    )?;
    Ok(())
}

/// The package of a name that starts with `prefix` that the newest version of a metapackage
/// depends on; none if the lists of packages don't know the metapackage.
pub(crate) fn dependency(metapackage: &str, prefix: &str) -> Result<Option<String>> {
    let mut command = Command::new("apt-cache");
    let Ok(shown) = output(command.args(["show", "--no-all-versions", metapackage])) else {
        // The same status for a package that is unknown and for lists that are not there; but a
        // tool that is not there fails differently.
        output(Command::new("apt-cache").arg("--version"))?;
        return Ok(None);
    };
    let control = String::from_utf8_lossy(&shown.stdout);
    parse_dependency(&control, prefix)
        .map(Some)
        .with_context(|| format!("{metapackage} depends on no package named {prefix}…"))
}

/// The first package of a name that starts with `prefix` among the dependencies in a control
/// paragraph (deb-control(5), "Depends").
fn parse_dependency(control: &str, prefix: &str) -> Option<String> {
    let depends = control.lines().find_map(|line| line.strip_prefix("Depends:"))?;
    depends
        .split([',', '|'])
        .filter_map(|dependency| dependency.split_whitespace().next())
        .find(|name| name.starts_with(prefix))
        .map(str::to_owned)
}

/// Downloads a package into a folder. Returns the file.
pub(crate) fn download(package: &str, folder: &Path) -> Result<PathBuf> {
    eprintln!("xtask: apt-get download {package}");
    output(
        Command::new("apt-get")
            .current_dir(folder)
            // The user that apt downloads as can't write below a checkout.
            .args(["download", "-q", "-o", "APT::Sandbox::User=root", "--", package]),
    )?;
    let mut files = std::fs::read_dir(folder)?;
    let file = files.find_map(|entry| {
        let path = entry.ok()?.path();
        path.extension().is_some_and(|extension| extension == "deb").then_some(path)
    });
    file.with_context(|| format!("apt-get download {package} left no package"))
}

/// Unpacks the files of a package into a folder.
pub(crate) fn unpack(package: &Path, folder: &Path) -> Result<()> {
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &str = "Package: linux-image-cloud-amd64\nSource: linux-signed-amd64\n\
        Provides: linux-latest-modules\n\
        Depends: kmod, linux-image-6.1.0-44-cloud-amd64 (= 6.1.164-1) | x, linux-image-old\n\
        Description: Linux\n Depends: linux-image-wrong\n";

    #[test]
    fn the_dependency_is_found_without_its_version() {
        let found = parse_dependency(CONTROL, "linux-image-");
        assert_eq!(found.as_deref(), Some("linux-image-6.1.0-44-cloud-amd64"));
    }

    #[test]
    fn what_it_does_not_depend_on_is_not_found() {
        assert_eq!(parse_dependency(CONTROL, "linux-headers-"), None);
        assert_eq!(parse_dependency("Package: x\n", "linux-image-"), None);
    }

    #[test]
    fn a_failure_tells_what_was_run_and_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no network >&2; exit 7"]));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("sh -c") && text.contains("no network"), "{text}");
        assert!(text.contains("exit status: 7"), "{text}");
        let error = output(&mut Command::new("/nowhere/apt-get")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/apt-get") && error.contains("Debian"), "{error}");
    }
}
