//! `palisade demo`: a machine, its objects with what they declare, a guest that uses them, and a
//! refusal.

use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use comfy_table::{Table, presets};
use device_model::{
    qom_core::{Obj, Registry, SecurityStatus, Suggestion},
    request::VmRequest,
};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{
    error::{OptionError, StartError},
    report,
    run::Exit,
    vm::Vm,
};
use crate::options::command_line::CommandLine;

/// The guest, assembled when the program was built.
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo-guest.elf"));

/// Devices that the demo adds to those of its board, by what a user would write.
const DEVICES: [&str; 4] = [
    "-chardev",
    "null,id=log",
    "-device=pvpanic,id=panic",
    "-device=isa-debugcon,id=console,chardev=log",
];

/// A device that the default policy refuses.
const INSECURE: [&str; 2] = ["-device", "isa-debug-exit"];

/// How long the guest may take, on a host that emulates every instruction too.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo.
pub(super) fn run(registry: &Arc<Registry>, arguments: &[OsString]) -> Result<Exit, StartError> {
    if let Some(unknown) = arguments.first() {
        return Err(StartError::Option {
            place: "demo".to_owned(),
            problem: OptionError::UnknownArgument(
                unknown.to_string_lossy().into_owned(),
                Suggestion::default(),
            ),
        });
    }
    Demo { guest: GUEST, limit: LIMIT }.run(registry)
}

/// A demo, with the guest that it runs: one that checks what it finds, and switches its machine off
/// if all is well.
#[derive(Clone, Copy, Debug)]
pub struct Demo<'a> {
    /// The guest's kernel.
    pub guest: &'a [u8],
    /// How long it may take.
    pub limit: Duration,
}

impl Demo<'_> {
    /// Runs the demo and says on standard output what it sees.
    ///
    /// # Errors
    /// If its machine can't be made or booted.
    pub fn run(&self, registry: &Arc<Registry>) -> Result<Exit, StartError> {
        let guest = in_memory(self.guest)
            .map_err(|source| StartError::Host { action: "keep the guest", source })?;
        // A name for the memory that the guest is in, which lasts as long as the descriptor.
        let kernel = format!("-kernel=/proc/self/fd/{}", guest.as_raw_fd());
        let mut options = vec!["-nodefaults", "-serial=stdio", "-m=32M", "-no-reboot", &kernel];
        options.extend(DEVICES);

        let vm = Vm::create(registry, &command_line(&options)?)?;
        report::out("The objects of this machine, as they are in its tree:\n\n")?;
        report::out(&objects(&vm))?;
        report::out("\nThe guest:\n\n")?;
        match self.run_guest(vm)? {
            Exit::Finished => {}
            exit => return Ok(exit),
        }
        report::out(&format!("\nThe same machine once more, with {}:\n\n", INSECURE.join(" ")))?;
        options.extend(INSECURE);
        refusal(registry, &options)
    }

    /// Runs the guest. It finishes if it switches its machine off in time, which it only does if all
    /// is well.
    fn run_guest(&self, vm: Vm) -> Result<Exit, StartError> {
        let late = Arc::new(AtomicBool::new(false));
        let (says_late, requests) = (Arc::clone(&late), Arc::clone(vm.platform().requests()));
        let timer = vm.platform().events().timer(move || {
            says_late.store(true, Ordering::Relaxed);
            requests.send(VmRequest::PowerOff);
        });
        let timer = timer.map_err(|source| StartError::Host { action: "set a timer", source })?;
        timer.set(Some(self.limit));
        let exit = vm.run()?;
        if late.load(Ordering::Relaxed) {
            report::line(&format!("the guest did not come to its end within {:?}", self.limit));
            return Ok(Exit::StartFailed);
        }
        if exit == Exit::Reset {
            report::line("a check of the guest's failed");
            return Ok(Exit::StartFailed);
        }
        Ok(exit)
    }
}

/// Tries a machine that the default policy refuses, and shows how.
fn refusal(registry: &Arc<Registry>, options: &[&str]) -> Result<Exit, StartError> {
    match Vm::create(registry, &command_line(options)?) {
        Err(StartError::Refused { refusals, stated }) => {
            for refusal in &refusals {
                report::out(&format!(
                    "{}: {refusal}\n{}\n",
                    refusal.origin(),
                    refusal.explanation(&stated)
                ))?;
            }
            Ok(Exit::Finished)
        }
        Err(other) => Err(other),
        Ok(_) => {
            report::line("the insecure device was not refused");
            Ok(Exit::StartFailed)
        }
    }
}

fn command_line(options: &[&str]) -> Result<CommandLine, StartError> {
    Ok(CommandLine::parse(options.iter().map(OsString::from))?)
}

/// A file of this content that only this process has.
fn in_memory(content: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("demo-guest", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    Ok(file)
}

/// Each object of the tree with what its type declares.
fn objects(vm: &Vm) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["object", "type", "security", "boundaries", "stated by"]);
    for object in vm.tree().walk() {
        table.add_row(row(&object));
    }
    format!("{}\n", table.trim_fmt())
}

fn row(object: &Obj) -> [String; 5] {
    let class = object.class();
    let mark = match class.status() {
        SecurityStatus::Secure => "secure",
        SecurityStatus::Insecure { .. } => "INSECURE",
        SecurityStatus::Undeclared => "undeclared",
    };
    [
        object.path().unwrap_or_default(),
        class.name().to_owned(),
        mark.to_owned(),
        class.boundaries().to_string(),
        class.statement().to_string(),
    ]
}
