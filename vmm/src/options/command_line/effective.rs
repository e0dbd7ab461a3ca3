//! What holds when options are given several times.
//!
//! As in QEMU: of `-kernel`, `-initrd`, `-append`, `-bios`, `-cpu`, `-m`, `-name`, `-display`, `-qtest`
//! and `-qtest-log` the last holds; several `-machine` and several `-smp` are merged key by key, the last value of each
//! key holding; each `-accel`, `-device`, `-global`, `-object`, `-blockdev`, `-drive`, `-chardev`,
//! `-netdev`, `-serial`, `-mon`, `-qmp` and `-add-fd` counts. Statements of the security policy all
//! count, and none replaces another; of those about what is deprecated or unstable the last about one
//! thing holds.

use std::path::Path;

use device_model::qom_core::{CompatStatement, PolicyStatement};

use crate::options::add_fd::AddFd;
use crate::options::cpu_model::CpuModel;
use crate::options::globals::Global;
use crate::options::keyval::{Given, OptionArgs};
use crate::options::smp::Topology;
use crate::options::stream::Stream;

use super::CommandLine;
use super::entry::Entry;
use super::help_request::HelpRequest;

use super::value::{Display, GuestName, OptionValue};

/// Something and the option that said so.
pub type Said<'a, T> = (&'a Entry, T);

/// All `-machine` together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineRequest<'a> {
    /// The machine's type, if one was named.
    pub machine_type: Option<Said<'a, &'a str>>,
    /// Its properties; each key once, with its last value, in the order of these.
    pub properties: Vec<Said<'a, (&'a str, &'a Given)>>,
}

/// Accessors for options that are collected: every one counts.
macro_rules! each {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $type:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> impl DoubleEndedIterator<Item = Said<'_, &$type>> {
            self.entries.iter().filter_map(|entry| match &entry.value {
                OptionValue::$variant(value) => Some((entry, value)),
                _ => None,
            })
        }
    )*};
}

/// Accessors for options of which the last holds.
macro_rules! last {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $type:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Option<Said<'_, &$type>> {
            self.entries.iter().rev().find_map(|entry| match &entry.value {
                OptionValue::$variant(value) => Some((entry, &**value)),
                _ => None,
            })
        }
    )*};
}

impl CommandLine {
    each! {
        /// Every `-accel`, in order of preference.
        accelerators: Accel -> OptionArgs;
        /// Every `-device`, in order.
        devices: Device -> OptionArgs;
        /// Every `-global`, in order.
        globals: Global -> Global;
        /// Every `-object`, in order.
        objects: Object -> OptionArgs;
        /// Every `-chardev`, in order.
        chardevs: Chardev -> OptionArgs;
        /// Every `-netdev`, in order.
        netdevs: Netdev -> OptionArgs;
        /// Every `-add-fd`, in order.
        added_descriptors: AddFd -> AddFd;
        /// Every `-mon`, in order.
        monitors: Monitor -> OptionArgs;
        /// Every `-serial`: the first is the first port.
        serials: Serial -> Stream;
        /// Every `-cpu`, of which [`cpu`](Self::cpu) is the last.
        cpus: Cpu -> CpuModel;
        /// Every request for information, in order.
        help_requests: Help -> HelpRequest;
    }

    last! {
        /// The last `-kernel`.
        kernel: Kernel -> Path;
        /// The last `-initrd`.
        initrd: Initrd -> Path;
        /// The last `-bios`.
        bios: Bios -> Path;
        /// The last `-append`.
        append: Append -> str;
    }

    /// The last `-cpu`.
    pub fn cpu(&self) -> Option<Said<'_, &CpuModel>> {
        self.cpus().next_back()
    }

    /// Every `-blockdev` and `-drive`, in the order in which they were given: a node is defined before
    /// those that refer to it.
    pub fn block_nodes(&self) -> impl Iterator<Item = &Entry> {
        let defines = |entry: &&Entry| {
            matches!(entry.value, OptionValue::Blockdev(_) | OptionValue::Drive(_))
        };
        self.entries.iter().filter(defines)
    }

    /// Every `-qmp` and `-qmp-pretty`, in order: where its client comes from, and whether what it
    /// says is laid out.
    pub fn qmps(&self) -> impl Iterator<Item = Said<'_, (&Stream, bool)>> {
        self.entries.iter().filter_map(|entry| match &entry.value {
            OptionValue::Qmp { stream, pretty } => Some((entry, (stream, *pretty))),
            _ => None,
        })
    }

    /// The last `-qtest`: where its client comes from.
    pub fn qtest(&self) -> Option<Said<'_, &Stream>> {
        self.entries.iter().rev().find_map(|entry| match &entry.value {
            OptionValue::Qtest(stream) => Some((entry, stream)),
            _ => None,
        })
    }

    /// The last `-qtest-log`; none too if that is `none`.
    pub fn qtest_log(&self) -> Option<Said<'_, &Path>> {
        let logs = self.entries.iter().rev().find_map(|entry| match &entry.value {
            OptionValue::QtestLog(file) => Some((entry, file.as_deref())),
            _ => None,
        });
        logs.and_then(|(entry, file)| Some((entry, file?)))
    }

    /// The last `-m`, in bytes.
    pub fn memory(&self) -> Option<Said<'_, u64>> {
        self.entries.iter().rev().find_map(|entry| match entry.value {
            OptionValue::Memory(bytes) => Some((entry, bytes)),
            _ => None,
        })
    }

    /// The last `-name`.
    pub fn guest_name(&self) -> Option<Said<'_, &GuestName>> {
        self.entries.iter().rev().find_map(|entry| match &entry.value {
            OptionValue::Name(name) => Some((entry, name)),
            _ => None,
        })
    }

    /// The last `-display`.
    pub fn display(&self) -> Option<Said<'_, Display>> {
        self.entries.iter().rev().find_map(|entry| match entry.value {
            OptionValue::Display(display) => Some((entry, display)),
            _ => None,
        })
    }

    /// The topology that all `-smp` together ask for; the option is the last of them.
    pub fn topology(&self) -> Option<Said<'_, Topology>> {
        let is_smp = |entry: &&Entry| matches!(entry.value, OptionValue::Smp(_));
        self.entries.iter().rev().find(is_smp).zip(self.topology)
    }

    /// Whether the CPUs are to wait (`-S`).
    pub fn is_paused(&self) -> bool {
        self.has(&OptionValue::Paused)
    }

    /// Whether `-nographic` was given.
    pub fn is_nographic(&self) -> bool {
        self.has(&OptionValue::Nographic)
    }

    /// Whether `-nodefaults` was given.
    pub fn has_no_defaults(&self) -> bool {
        self.has(&OptionValue::Nodefaults)
    }

    /// Whether a guest's reboot ends the program (`-no-reboot`).
    pub fn has_no_reboot(&self) -> bool {
        self.has(&OptionValue::NoReboot)
    }

    fn has(&self, value: &OptionValue) -> bool {
        self.entries.iter().any(|entry| entry.value == *value)
    }

    /// All `-machine` merged.
    pub fn machine(&self) -> MachineRequest<'_> {
        let mut request = MachineRequest::default();
        let mut seen = std::collections::HashSet::new();
        for entry in self.entries.iter().rev() {
            let OptionValue::Machine(args, _) = &entry.value else {
                continue;
            };
            if request.machine_type.is_none() {
                request.machine_type = args.implied.as_deref().map(|name| (entry, name));
            }
            for (key, value) in args.entries.iter().rev() {
                if seen.insert(key.as_str()) {
                    request.properties.push((entry, (key.as_str(), value)));
                }
            }
        }
        request.properties.reverse();
        request
    }

    /// Every statement of the security policy, in the order of the options.
    pub fn policy_statements(&self) -> impl Iterator<Item = Said<'_, PolicyStatement>> {
        self.entries.iter().flat_map(|entry| {
            let statements = match &entry.value {
                OptionValue::Machine(_, statements) => statements.as_slice(),
                OptionValue::Compat(statements) => &statements.security,
                _ => &[],
            };
            statements.iter().map(move |statement| (entry, *statement))
        })
    }

    /// Every statement about what is deprecated or unstable, in the order of the options: of those
    /// about the same thing the last holds.
    pub fn compat_statements(&self) -> impl Iterator<Item = CompatStatement> {
        self.entries.iter().flat_map(|entry| match &entry.value {
            OptionValue::Compat(statements) => statements.compat.clone(),
            _ => Vec::new(),
        })
    }
}
