//! Every option: its name, whether it takes a value, its place and line in the help text.

use clap::{Arg, ArgAction, Command};

const MACHINE: &str = "Machine";
const BOOT: &str = "Boot";
const DEVICES: &str = "Devices";
const MONITOR: &str = "Monitor";
const RUN: &str = "Running";
const SECURITY: &str = "Security";
const INFORMATION: &str = "Information";

/// The definitions, in the order of the help text. The id of each is its name without dashes.
///
/// Options may all be repeated; what that means differs by option, and is decided when the whole
/// line is known.
pub(super) fn command() -> Command {
    Command::new("options")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading(MACHINE)
        .arg(valued("machine", "TYPE[,...]", "kind of machine to build").visible_alias("M"))
        .arg(valued("accel", "NAME[,...]", "accelerator to run guest code with"))
        .arg(valued("cpu", "MODEL[,...]", "CPU model, then +FEATURE or -FEATURE"))
        .arg(valued("smp", "N[,...]", "number of CPUs, or sockets=, cores=, threads="))
        .arg(valued("m", "SIZE", "memory in MiB, or with a suffix as in 1.5G"))
        .arg(valued("name", "NAME[,process=NAME]", "name the guest in messages, the process in ps"))
        .next_help_heading(BOOT)
        .arg(valued("kernel", "FILE", "kernel to load and start"))
        .arg(valued("initrd", "FILE", "initial RAM disk for the kernel"))
        .arg(valued("append", "TEXT", "command line for the kernel"))
        .arg(valued("bios", "FILE", "firmware to start instead of a kernel"))
        .next_help_heading(DEVICES)
        .arg(valued("device", "TYPE[,...]", "add a device"))
        .arg(valued("global", "TYPE.PROP=VALUE", "set a property on every device of a type"))
        .arg(valued("object", "TYPE,id=ID[,...]", "create an object for others to use"))
        .arg(valued("blockdev", "DRIVER[,...]", "make a block node for devices to use"))
        .arg(valued("drive", "file=FILE[,...]", "the same for a file, in short: if=none|virtio"))
        .arg(valued("chardev", "BACKEND,id=ID[,...]", "make a character device for others to use"))
        .arg(valued("netdev", "TYPE,id=ID[,...]", "make a network for network cards to use"))
        .arg(valued("add-fd", "fd=N,set=M[,...]", "let /dev/fdset/M stand for open descriptor N"))
        .arg(valued("serial", "STREAM", "a serial port: stdio, none, unix:PATH..."))
        .arg(valued("display", "none", "graphical output, of which there is none"))
        .arg(flag("nographic", "put the console on standard input and output"))
        .arg(flag("nodefaults", "leave out devices that were not asked for"))
        .next_help_heading(MONITOR)
        .arg(valued("qmp", "STREAM", "let a program control the VM: unix:PATH,..."))
        .arg(valued("qmp-pretty", "STREAM", "the same, laid out for people"))
        .arg(valued("mon", "ID[,...]", "a monitor on a chardev, mode=control"))
        .arg(valued("qtest", "STREAM", "under -accel qtest, let a test drive devices"))
        .arg(valued("qtest-log", "FILE", "log what is said over -qtest, or none"))
        .next_help_heading(RUN)
        .arg(valued("readconfig", "FILE", "take further options from a file"))
        .arg(flag("S", "do not start the CPUs; a monitor's client can"))
        .arg(flag("no-reboot", "exit when the guest reboots"))
        .next_help_heading(SECURITY)
        .arg(valued("compat", "WHAT=ACTION", "policy for insecure, deprecated... (see below)"))
        .next_help_heading(INFORMATION)
        .arg(flag("help", "show this text").visible_alias("h"))
        .arg(flag("version", "show the version"))
}

fn valued(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::Append).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::Count).help(help)
}

/// The name and the aliases of an option, without dashes.
pub(super) fn names(option: &Arg) -> impl Iterator<Item = &str> {
    option.get_long_and_visible_aliases().unwrap_or_default().into_iter()
}

/// The option called `name`, without dashes.
pub(super) fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|option| names(option).any(|known| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn an_option_is_found_by_its_alias() {
        let command = command();
        for (name, id) in [("machine", "machine"), ("M", "machine"), ("m", "m"), ("h", "help")] {
            assert_eq!(find(&command, name).map(|option| option.get_id().as_str()), Some(id));
        }
        assert!(find(&command, "kernl").is_none());
    }
}
