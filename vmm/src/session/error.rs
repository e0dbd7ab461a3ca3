//! Why a VM did not start.

use std::io;

use device_model::{
    causes::with_causes,
    descriptors::DescriptorError,
    qom_core::{BoxedError, CreateError, PolicyStatement, Refusal, RegistryErrors, Suggestion},
};
use thiserror::Error;

use crate::{
    creation::{
        block::BlockdevError,
        chardev::BackendError,
        device::{BusError, DriverError},
        netdev::NetdevTypeError,
        object::ObjectTypeError,
    },
    options::{choice::ChoiceError, command_line::CommandLineError, nesting::NestingError},
    vcpu::SlotError,
};

/// Why a VM did not start. Nothing of it is left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The types that were linked contradict each other, or some are missing.
    #[error("{0}")]
    Registry(RegistryErrors),
    /// The command line can't be read.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// An option asks for something that can't be.
    #[error("{place}: {problem}")]
    Option {
        /// The option as the user wrote it.
        place: String,
        /// What is wrong.
        problem: OptionError,
    },
    /// The policy refuses something. Never empty.
    #[error("{}", .refusals.first().map(ToString::to_string).unwrap_or_default())]
    Refused {
        /// All that it refuses.
        refusals: Vec<Refusal>,
        /// What was stated of the policy.
        stated: Vec<PolicyStatement>,
    },
    /// The tree can't create what was asked for.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The machine can't be booted.
    #[error("{0}")]
    Boot(BoxedError),
    /// A file that the guest starts from can't be loaded again.
    #[error("{place}: {}", with_causes(&**error))]
    Reload {
        /// Who asked for it.
        place: String,
        /// What is wrong.
        error: BoxedError,
    },
    /// A processor did not start.
    #[error(transparent)]
    Processor(#[from] SlotError),
    /// The host refuses something that every VM needs.
    #[error("can't {action}: {source}")]
    Host {
        /// What was tried.
        action: &'static str,
        /// What the host says.
        source: io::Error,
    },
}

/// What is wrong with what an option asks for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// Dotted keys that describe no one structure.
    #[error(transparent)]
    Nesting(#[from] NestingError),
    /// No such machine.
    #[error(
        "unsupported machine type: \"{name}\"{suggestion} (use -machine help to list supported \
         machines)"
    )]
    Machine {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// Neither a property of the machine nor anything else that `-machine` takes.
    #[error("Property '{class}.{property}' not found{suggestion}")]
    MachineProperty {
        /// The machine's type.
        class: String,
        /// What was given.
        property: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// Two options that contradict each other.
    #[error("'{other}' gives '{property}' another value")]
    Contradiction {
        /// The property that both give.
        property: String,
        /// The other option.
        other: String,
    },
    /// No such accelerator.
    #[error("invalid accelerator {name}{suggestion}")]
    Accelerator {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// More than one accelerator.
    #[error("a machine has one accelerator, and another was named before")]
    SecondAccelerator,
    /// No such CPU model.
    #[error("unable to find CPU model '{name}'{suggestion}")]
    CpuModel {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// No device that users can add.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// No descriptor of that number.
    #[error("fd: the process was started with no descriptor {fd}")]
    NoDescriptor {
        /// The number.
        fd: i32,
    },
    /// A descriptor that is not kept.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// No bus for it.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// No object that users can create.
    #[error(transparent)]
    Object(#[from] ObjectTypeError),
    /// A block node that can't be defined so.
    #[error(transparent)]
    Blockdev(Box<BlockdevError>),
    /// No such character device.
    #[error(transparent)]
    Chardev(#[from] BackendError),
    /// No such network backend.
    #[error(transparent)]
    Netdev(#[from] NetdevTypeError),
    /// No character device of that id.
    #[error("no character device is called '{id}'{suggestion}")]
    NoChardev {
        /// What was asked for.
        id: String,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// An id that another option has.
    #[error("Duplicate {what} ID '{id}'")]
    DuplicateId {
        /// `device`, `object`, `chardev` or `netdev`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// Something for a guest, on a machine that runs none.
    #[error("machine '{machine}' runs no guest")]
    NoGuest {
        /// The machine.
        machine: String,
    },
    /// A client that drives devices in place of processors, without the accelerator for that.
    #[error("expected -accel qtest with it, under which no processors run")]
    NoQtestAccelerator,
    /// A log of what nobody says.
    #[error("expected -qtest with it, of which it is the log")]
    NoQtest,
    /// More than one serial port.
    #[error("machine '{machine}' has {ports}")]
    SerialPort {
        /// The machine.
        machine: String,
        /// How many it has, in words.
        ports: &'static str,
    },
    /// More processors than the machine can have.
    #[error("Invalid SMP CPUs {cpus}. The max CPUs supported by machine '{machine}' is {max}")]
    TooManyCpus {
        /// Asked for.
        cpus: u32,
        /// The machine.
        machine: String,
        /// What it can have.
        max: u32,
    },
    /// Processors to be added later.
    #[error("maxcpus {maxcpus} is more than cpus {cpus}, and no processor can be added later")]
    CpuHotplug {
        /// Asked for at the start.
        cpus: u32,
        /// Asked for at most.
        maxcpus: u32,
    },
    /// A word that is none of those that exist.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// An argument of a subcommand that it does not have.
    #[error("unknown argument '{0}'{1}")]
    UnknownArgument(String, Suggestion),
    /// No type where one has to be named.
    #[error("expected the name of a type, given none")]
    NoType,
    /// A type that no linked crate defines.
    #[error("no type is called '{0}'{1}")]
    UnknownType(String, Suggestion),
}

impl From<BlockdevError> for OptionError {
    fn from(error: BlockdevError) -> Self {
        Self::Blockdev(Box::new(error))
    }
}
