//! Character devices, and what the first serial port leads to.

use device_model::qom_core::{Given, Origin, PropertyType, Request, Suggestion};

use super::{
    super::error::{OptionError, StartError},
    Builder, Chosen, origin, refuse, refuse_key, text, with_arguments,
};
use crate::options::{
    command_line::{Entry, Serial},
    keyval::OptionArgs,
};

/// Where character devices stand.
const CHARDEVS: &str = "/chardevs";
/// The character device behind the first serial port, unless the user names one.
const SERIAL0: &str = "serial0";
/// What the first serial port leads to, unless the user says.
const DEFAULT_BACKEND: &str = "stdio";

/// What becomes of the first serial port.
pub(super) enum FirstSerial<'a> {
    /// Nobody has asked for it.
    Absent,
    /// This option wants none.
    AbsentBy(&'a Entry),
    /// It leads to a character device.
    To {
        /// Its path.
        path: String,
        /// The option that says so; none by default.
        by: Option<&'a Entry>,
    },
    /// `-machine` says it.
    AsGiven,
}

/// Whether a switch is off, in any of the ways to say so.
fn is_off(value: &Given) -> bool {
    bool::from_given(value) == Ok(false)
}

impl<'a> Builder<'a> {
    pub(super) fn chardevs(&mut self) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (entry, arguments) in self.line.chardevs() {
            let name = arguments.implied.as_deref().unwrap_or_default();
            let type_name = format!("chardev-{name}");
            if self.class(&type_name, "chardev").is_none() {
                let suggestion =
                    self.suggest(name, "chardev", |name| name.strip_prefix("chardev-"));
                let name = name.to_owned();
                return Err(refuse_key(
                    entry,
                    "backend",
                    OptionError::Chardev { name, suggestion },
                ));
            }
            let id = text(arguments, "id").unwrap_or_default();
            if ids.contains(&id) {
                return Err(refuse(entry, OptionError::DuplicateId { what: "chardev", id }));
            }
            let request = Request::new(type_name, CHARDEVS, &id);
            self.requests.push(with_arguments(request, entry, arguments).from(origin(entry)));
            ids.push(id);
        }
        Ok(())
    }

    /// Creates what the first serial port leads to.
    pub(super) fn serial(&mut self, machine: &Chosen<'_>) -> Result<FirstSerial<'a>, StartError> {
        let mut given = self.line.serials();
        let first = given.next();
        let too_many = if machine.data.has_serial { given.next() } else { first };
        if let Some((entry, _)) = too_many {
            let ports = if machine.data.has_serial { "one serial port" } else { "no serial port" };
            let machine = machine.name.clone();
            return Err(refuse(entry, OptionError::SerialPort { machine, ports }));
        }
        if !machine.data.has_serial {
            return Ok(FirstSerial::Absent);
        }
        let (backend, by) = match first {
            Some((entry, Serial::None)) => return Ok(FirstSerial::AbsentBy(entry)),
            Some((entry, Serial::Chardev(id))) => {
                let ids: Vec<_> =
                    self.line.chardevs().filter_map(|(_, given)| text(given, "id")).collect();
                if !ids.contains(id) {
                    let suggestion = Suggestion::of(id, ids.iter().map(String::as_str));
                    return Err(refuse(
                        entry,
                        OptionError::NoChardev { id: id.clone(), suggestion },
                    ));
                }
                return Ok(FirstSerial::To { path: format!("{CHARDEVS}/{id}"), by: Some(entry) });
            }
            Some((entry, Serial::Stdio)) => ("stdio", Some(entry)),
            Some((entry, Serial::Null)) => ("null", Some(entry)),
            None if self.machine_property("serial0").is_some() => return Ok(FirstSerial::AsGiven),
            None if self.machine_property("isa-serial").is_some_and(|(_, value)| is_off(value)) => {
                return Ok(FirstSerial::Absent);
            }
            None if self.line.has_no_defaults() && !self.line.is_nographic() => {
                return Ok(match self.machine_property("isa-serial") {
                    Some(_) => FirstSerial::AsGiven,
                    None => FirstSerial::Absent,
                });
            }
            None => (DEFAULT_BACKEND, None),
        };
        let origin = by.map_or_else(|| self.default_serial(), origin);
        self.requests
            .push(Request::new(format!("chardev-{backend}"), CHARDEVS, SERIAL0).from(origin));
        Ok(FirstSerial::To { path: format!("{CHARDEVS}/{SERIAL0}"), by })
    }

    /// Who asks for a serial port that nobody has asked for, with what to give instead where the
    /// user has a use for the same streams.
    pub(super) fn default_serial(&self) -> Origin {
        let on_stdio =
            |(_, given): &(_, &OptionArgs)| given.implied.as_deref() == Some(DEFAULT_BACKEND);
        let id = self.line.chardevs().find(on_stdio).and_then(|(_, given)| text(given, "id"));
        Origin::new(match id {
            Some(id) => {
                format!("default serial port (give -serial none, or -serial chardev:{id})")
            }
            None => "default serial port".to_owned(),
        })
    }
}
