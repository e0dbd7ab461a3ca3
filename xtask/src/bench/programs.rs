//! The programs that are measured, built for release.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};

use crate::workspace;

/// A program that runs a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Monitor {
    /// Ours.
    Palisade,
    /// The least there can be.
    BareKvm,
}

/// Where the programs are.
pub(crate) struct Programs {
    ours: PathBuf,
    baseline: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(crate) fn build() -> Result<Self> {
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--quiet", "--release"]);
        // Apart from everything else, so that no feature that others ask for gets into it.
        let palisade = workspace::status(cargo.args(["--package", "palisade"]))?;
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--quiet", "--release", "--package", "bench-programs"]);
        let others = workspace::status(&mut cargo)?;
        let baseline = workspace::root().join("target/baseline");
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--quiet", "--release", "--package", "bare-kvm", "--target-dir"]);
        // As cargo builds a program that nothing is said of: no flags of this workspace's.
        cargo.arg(&baseline).env("CARGO_ENCODED_RUSTFLAGS", "");
        let bare = workspace::status(&mut cargo)?;
        let built = palisade.success() && others.success() && bare.success();
        ensure!(built, "the programs can't be built");
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = workspace::root().join(target.unwrap_or_else(|| "target".into()));
        let folder = Path::new(&workspace::host_triple()?).join("release");
        Ok(Self { ours: target.join(&folder), baseline: baseline.join(&folder) })
    }

    /// Both monitors, in the order in which they are run.
    pub(crate) fn monitors(&self) -> [Monitor; 2] {
        [Monitor::BareKvm, Monitor::Palisade]
    }

    fn program(&self, name: &str) -> Command {
        Self::run(&self.ours.join(name))
    }

    fn run(program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// The command that runs a guest of 128 MiB, with its serial port on standard output.
    pub(crate) fn start(&self, monitor: Monitor, image: &Path) -> Command {
        match monitor {
            Monitor::BareKvm => {
                let mut command = Self::run(&self.baseline.join("bare-kvm"));
                command.arg(image);
                command
            }
            Monitor::Palisade => {
                let mut command = self.program("palisade");
                command.args(["-accel", "kvm", "-nodefaults", "-serial", "stdio", "-kernel"]);
                command.arg(image).args(["-m", "128M", "-no-reboot"]);
                command
            }
        }
    }

    /// As [`Programs::start`] for ours, with a monitor that listens at `socket`.
    pub(crate) fn start_monitored(&self, image: &Path, socket: &Path) -> Command {
        let mut command = self.start(Monitor::Palisade, image);
        command.arg("-qmp").arg(listen(socket));
        command
    }

    /// The command of a monitor with 1,000 types more, that listens at `socket` and runs no guest.
    pub(crate) fn monitored(&self, socket: &Path) -> Command {
        let mut command = self.program("monitored");
        command.args(["-machine", "none", "-qmp"]).arg(listen(socket));
        command
    }

    /// The command of a server that answers each line at `socket` with `answer`.
    pub(crate) fn ping_pong(&self, socket: &Path, answer: &str) -> Command {
        let mut command = self.program("ping-pong");
        command.arg(socket).arg(answer);
        command
    }

    /// The command that builds a registry of 10,000 types.
    pub(crate) fn registry_load(&self) -> Command {
        self.program("registry-load")
    }

    /// The command that measures bus and policy in its own process.
    pub(crate) fn in_process(&self) -> Command {
        self.program("in-process")
    }
}

/// A Unix socket to listen at, as `-qmp` has it.
fn listen(socket: &Path) -> OsString {
    let mut stream = OsString::from("unix:");
    stream.push(socket);
    stream.push(",server=on,wait=off");
    stream
}
