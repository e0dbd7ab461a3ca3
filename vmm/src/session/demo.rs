//! `palisade demo`: a machine, its objects with what they declare, a guest that uses them, and a
//! refusal.

use std::{ffi::OsString, fs::File, io::Write, os::fd::AsRawFd, sync::Arc};

use comfy_table::{Table, presets};
use device_model::qom_core::{Obj, Registry, SecurityStatus, Suggestion};
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
    let guest = guest().map_err(|source| StartError::Host { action: "keep the guest", source })?;
    // A name for the memory that the guest is in, which lasts as long as the descriptor.
    let kernel = format!("-kernel=/proc/self/fd/{}", guest.as_raw_fd());
    let mut options = vec!["-nodefaults", "-serial=stdio", "-m=32M", "-no-reboot", &kernel];
    options.extend(DEVICES);

    let vm = Vm::create(registry, &command_line(&options)?)?;
    report::out("The objects of this machine, as they are in its tree:\n\n")?;
    report::out(&objects(&vm))?;
    report::out("\nThe guest:\n\n")?;
    let exit = vm.run()?;
    if exit != Exit::Finished {
        return Ok(exit);
    }

    report::out(&format!("\nThe same machine once more, with {}:\n\n", INSECURE.join(" ")))?;
    options.extend(INSECURE);
    match Vm::create(registry, &command_line(&options)?) {
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

/// The guest in a file that only this process has.
fn guest() -> std::io::Result<File> {
    let mut file = File::from(memfd_create("demo-guest", MemfdFlags::CLOEXEC)?);
    file.write_all(GUEST)?;
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
