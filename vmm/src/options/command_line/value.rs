//! The value of each option: which syntax it speaks and what it is read as.

use std::path::PathBuf;

use crate::options::add_fd::{self, AddFd, AddFdError};
use crate::options::choice::{ChoiceError, choose};
use crate::options::config_file::Section;
use crate::options::cpu_model::{self, CpuModel, CpuModelError};
use crate::options::excerpt::excerpt;
use crate::options::globals::{self, Global, GlobalError};
use crate::options::identifier::{self, IdentifierError};
use crate::options::keyval::{Given, KeyvalError, OptionArgs, Syntax, Words, unquoted};
use crate::options::size::{self, MemoryError};
use crate::options::smp::{self, SmpError, SmpRequest};
use crate::options::stream::{Stream, StreamError};
use device_model::qom_core::{PolicyStatement, Suggestion};

use super::help_request::{HelpRequest, HelpTopic};
use super::policy::{self, CompatStatements, PolicyError};

const ACCEL_SYNTAX: Syntax = typed_syntax("accel");
const BLOCKDEV_SYNTAX: Syntax = typed_syntax("driver");
const CHARDEV_SYNTAX: Syntax = typed_syntax("backend");
pub(crate) const DEVICE_SYNTAX: Syntax = typed_syntax("driver");
pub(super) const MACHINE_SYNTAX: Syntax = typed_syntax("type");
pub(crate) const NETDEV_SYNTAX: Syntax = typed_syntax("type");
const DRIVE_SYNTAX: Syntax = Syntax { implied_key: None, words: Words::Flags, json: false };
const MONITOR_SYNTAX: Syntax = typed_syntax("chardev");
const OBJECT_SYNTAX: Syntax = typed_syntax("qom-type");
const NAME_SYNTAX: Syntax =
    Syntax { implied_key: Some("guest"), words: Words::Refused, json: false };

/// Options that name a type and its properties. QEMU's older option parser takes words without a
/// value as switches and its newer one does not; here all options of this kind do.
const fn typed_syntax(implied_key: &'static str) -> Syntax {
    Syntax { implied_key: Some(implied_key), words: Words::Flags, json: true }
}

/// An option with its value.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// `-machine`: implied key `type`, without the policy's statements.
    Machine(OptionArgs, Vec<PolicyStatement>),
    /// `-accel`: implied key `accel`, which is present.
    Accel(OptionArgs),
    /// `-cpu`.
    Cpu(CpuModel),
    /// `-m`, in bytes.
    Memory(u64),
    /// `-smp`.
    Smp(SmpRequest),
    /// `-name`.
    Name(GuestName),
    /// `-kernel`.
    Kernel(PathBuf),
    /// `-initrd`.
    Initrd(PathBuf),
    /// `-append`.
    Append(String),
    /// `-bios`.
    Bios(PathBuf),
    /// `-add-fd`.
    AddFd(AddFd),
    /// `-device`: implied key `driver`, which is present.
    Device(OptionArgs),
    /// `-global`.
    Global(Global),
    /// `-object`: implied key `qom-type`, which is present, as is `id`.
    Object(OptionArgs),
    /// `-blockdev`: implied key `driver`, which is present.
    Blockdev(OptionArgs),
    /// `-drive`.
    Drive(OptionArgs),
    /// `-chardev`: implied key `backend`, which is present, as is `id`.
    Chardev(OptionArgs),
    /// `-netdev`: implied key `type`, which is present, as is `id`.
    Netdev(OptionArgs),
    /// `-serial`.
    Serial(Stream),
    /// `-qmp`, or `-qmp-pretty` if it is to be laid out for people.
    Qmp {
        /// Where its client comes from.
        stream: Stream,
        /// Whether it is laid out.
        pretty: bool,
    },
    /// `-mon`: implied key `chardev`, which is present.
    Monitor(OptionArgs),
    /// `-qtest`.
    Qtest(Stream),
    /// `-qtest-log`; none for `none`.
    QtestLog(Option<PathBuf>),
    /// `-display`.
    Display(Display),
    /// `-nographic`.
    Nographic,
    /// `-nodefaults`.
    Nodefaults,
    /// `-S`.
    Paused,
    /// `-no-reboot`.
    NoReboot,
    /// `-compat`.
    Compat(CompatStatements),
    /// `--help`, `--version`, or `help` as a value.
    Help(HelpRequest),
}

/// What the user calls guest and process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestName {
    /// The guest, in what the program says of it.
    pub guest: String,
    /// The process, as tools list it.
    pub process: Option<String>,
}

/// Graphical output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// There is none.
    None,
}

/// What is wrong with the value of an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Outside the option syntax.
    #[error(transparent)]
    Keyval(#[from] KeyvalError),
    /// `-m`.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// `-smp`.
    #[error(transparent)]
    Smp(#[from] SmpError),
    /// `-add-fd`.
    #[error(transparent)]
    AddFd(#[from] AddFdError),
    /// `-cpu`.
    #[error(transparent)]
    CpuModel(#[from] CpuModelError),
    /// `-global`.
    #[error(transparent)]
    Global(#[from] GlobalError),
    /// A word that is not among those that exist.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A statement of the security policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Where a stream leads.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A malformed id.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// Something that has to be there.
    #[error("Parameter '{key}' is missing")]
    Missing {
        /// Its key.
        key: &'static str,
    },
    /// A key that the option does not have.
    #[error("{key}: unknown key, expected {expected}{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// The keys that exist, as a phrase.
        expected: &'static str,
        /// The nearest of them.
        suggestion: Suggestion,
    },
    /// An id on a section that has none.
    #[error("'{given}': expected a section without an id")]
    UnwantedId {
        /// The id, shortened where it is long.
        given: String,
    },
    /// An empty text where it means nothing.
    #[error("expected {expected}, given an empty value")]
    Empty {
        /// What should be there.
        expected: &'static str,
    },
    /// An option that exists but has no reader; the definitions and the readers have parted.
    #[error("this option cannot be read")]
    Unread,
}

impl ValueError {
    /// The key that it is about, if it is about one.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Memory(MemoryError::Size { .. } | MemoryError::Zero { .. }) => Some("size"),
            Self::Memory(MemoryError::Hotplug { key } | MemoryError::UnknownKey { key, .. })
            | Self::Smp(SmpError::UnknownKey { key, .. } | SmpError::Number { key, .. })
            | Self::Global(GlobalError::UnknownKey { key, .. })
            | Self::Policy(PolicyError::Value { key, .. })
            | Self::UnknownKey { key, .. } => Some(key),
            Self::AddFd(error) => Some(error.key()),
            Self::Policy(PolicyError::Key(unknown)) => Some(&unknown.given),
            Self::Identifier(_) => Some("id"),
            Self::Missing { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// Reads the value of the option called `name` (without dashes) on the command line. Options
/// without a value have an empty one.
///
/// # Errors
/// [`ValueError`] when the option does not take this value.
pub(super) fn from_text(name: &str, text: &str) -> Result<OptionValue, ValueError> {
    let file = || match text {
        "" => Err(ValueError::Empty { expected: "a file name" }),
        _ => Ok(PathBuf::from(text)),
    };
    let has_keys = syntax(name).is_some();
    if matches!(text, "help" | "?")
        && let Some(asked) = HelpRequest::of_option(name, has_keys)
    {
        return Ok(OptionValue::Help(asked));
    }
    Ok(match name {
        "kernel" => OptionValue::Kernel(file()?),
        "initrd" => OptionValue::Initrd(file()?),
        "bios" => OptionValue::Bios(file()?),
        // A named file is read where its place among the options is known.
        "readconfig" if text.is_empty() => {
            return Err(ValueError::Empty { expected: "a file name" });
        }
        "append" => OptionValue::Append(text.to_owned()),
        "cpu" if cpu_model::asks_help(text) => {
            // Whatever else is asked for is not.
            let (model, _) = text.split_once(',').unwrap_or((text, ""));
            let model = cpu_model::parse(model)?.model;
            OptionValue::Help(HelpRequest::Properties(HelpTopic::Cpu, model))
        }
        "cpu" => OptionValue::Cpu(cpu_model::parse(text)?),
        "global" => OptionValue::Global(globals::parse(text)?),
        "serial" => OptionValue::Serial(Stream::parse(text)?),
        "qmp" => OptionValue::Qmp { stream: Stream::parse(text)?, pretty: false },
        "qmp-pretty" => OptionValue::Qmp { stream: Stream::parse(text)?, pretty: true },
        "qtest" => OptionValue::Qtest(Stream::parse(text)?),
        "qtest-log" => OptionValue::QtestLog(match text {
            "none" => None,
            _ => Some(file()?),
        }),
        "display" => OptionValue::Display(choose("display", text, &[("none", Display::None)])?),
        "nographic" => OptionValue::Nographic,
        "nodefaults" => OptionValue::Nodefaults,
        "S" => OptionValue::Paused,
        "no-reboot" => OptionValue::NoReboot,
        "help" => OptionValue::Help(HelpRequest::Usage),
        "version" => OptionValue::Help(HelpRequest::Version),
        _ => from_args(name, OptionArgs::parse(text, syntax(name).ok_or(ValueError::Unread)?)?)?,
    })
}

/// Reads a section of a configuration file as the option it stands for.
///
/// # Errors
/// [`ValueError`] as for the option, and for an id where none belongs.
pub(super) fn from_section(section: Section) -> Result<OptionValue, ValueError> {
    let syntax = syntax(section.option).ok_or(ValueError::Unread)?;
    let mut pairs = Vec::with_capacity(section.pairs.len() + 1);
    if let Some(id) = section.id {
        if !has_id(section.option) {
            return Err(ValueError::UnwantedId { given: excerpt(&id) });
        }
        pairs.push(("id".to_owned(), Given::Text(id)));
    }
    pairs.extend(section.pairs.into_iter().map(|(key, value)| (key, Given::Text(value))));
    from_args(section.option, OptionArgs::from_pairs(syntax.implied_key, pairs)?)
}

/// Whether an option says what the thing is called that it makes, under the key `id`.
pub(super) fn has_id(name: &str) -> bool {
    ["device", "object", "drive", "chardev", "netdev", "mon"].contains(&name)
}

/// The syntax of an option whose value is `key=value` pairs.
pub(super) fn syntax(name: &str) -> Option<Syntax> {
    Some(match name {
        "machine" => MACHINE_SYNTAX,
        "accel" => ACCEL_SYNTAX,
        "device" => DEVICE_SYNTAX,
        "object" => OBJECT_SYNTAX,
        "blockdev" => BLOCKDEV_SYNTAX,
        "chardev" => CHARDEV_SYNTAX,
        "netdev" => NETDEV_SYNTAX,
        "drive" => DRIVE_SYNTAX,
        "mon" => MONITOR_SYNTAX,
        "m" => size::SYNTAX,
        "smp" => smp::SYNTAX,
        "name" => NAME_SYNTAX,
        "add-fd" => add_fd::SYNTAX,
        "global" => globals::SYNTAX,
        "compat" => policy::COMPAT_SYNTAX,
        _ => return None,
    })
}

fn from_args(name: &str, mut args: OptionArgs) -> Result<OptionValue, ValueError> {
    if args.asks_help()
        && let Some(asked) = HelpRequest::of_option(name, true)
    {
        return Ok(OptionValue::Help(match (asked, args.implied) {
            (HelpRequest::Types(topic), Some(of)) => HelpRequest::Properties(topic, of),
            (asked, _) => asked,
        }));
    }
    Ok(match name {
        "machine" => {
            let statements = policy::take_from_machine(&mut args)?;
            OptionValue::Machine(args, statements)
        }
        "accel" => {
            require(&args, "accel")?;
            OptionValue::Accel(args)
        }
        "device" => {
            require(&args, "driver")?;
            if let Some(id) = args.get("id") {
                identifier::check(&unquoted(id))?;
            }
            OptionValue::Device(args)
        }
        "object" => {
            require(&args, "qom-type")?;
            require_id(&args)?;
            OptionValue::Object(args)
        }
        "blockdev" => {
            require(&args, "driver")?;
            OptionValue::Blockdev(args)
        }
        "drive" => OptionValue::Drive(args),
        "chardev" => {
            require(&args, "backend")?;
            require_id(&args)?;
            OptionValue::Chardev(args)
        }
        "netdev" => {
            require(&args, "type")?;
            require_id(&args)?;
            OptionValue::Netdev(args)
        }
        "mon" => {
            require(&args, "chardev")?;
            OptionValue::Monitor(args)
        }
        "m" => OptionValue::Memory(size::memory(&args)?),
        "smp" => OptionValue::Smp(SmpRequest::from_args(&args)?),
        "name" => OptionValue::Name(guest_name(args)?),
        "add-fd" => OptionValue::AddFd(AddFd::from_args(&args)?),
        "global" => OptionValue::Global(globals::from_args(&args)?),
        "compat" => OptionValue::Compat(policy::from_compat(args)?),
        _ => return Err(ValueError::Unread),
    })
}

/// Checks that the implied key has a value.
fn require(args: &OptionArgs, key: &'static str) -> Result<(), ValueError> {
    match args.implied.as_deref() {
        None | Some("") => Err(ValueError::Missing { key }),
        Some(_) => Ok(()),
    }
}

/// Checks that there is an id, and that it has the form of one.
fn require_id(args: &OptionArgs) -> Result<(), ValueError> {
    let id = args.get("id").ok_or(ValueError::Missing { key: "id" })?;
    Ok(identifier::check(&unquoted(id))?)
}

fn guest_name(mut args: OptionArgs) -> Result<GuestName, ValueError> {
    let process = args.take_all(|key| key == "process").pop().map(|(_, name)| unquoted(&name));
    if let Some((key, _)) = args.entries.first() {
        let suggestion = Suggestion::of(key, ["guest", "process"]);
        let expected = "guest or process";
        return Err(ValueError::UnknownKey { key: excerpt(key), expected, suggestion });
    }
    let named = |name: &String| !name.is_empty() && !name.contains('\0');
    if process.as_ref().is_some_and(|process| !named(process)) {
        return Err(ValueError::Missing { key: "process" });
    }
    let guest = args.implied.filter(named).ok_or(ValueError::Missing { key: "guest" })?;
    Ok(GuestName { guest, process })
}
