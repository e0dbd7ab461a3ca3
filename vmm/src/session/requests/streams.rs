//! Character devices, and what the first serial port leads to.

use device_model::qom_core::{Given, Origin, PropertyType, Request, Suggestion, Value};

use super::{
    super::error::{OptionError, StartError},
    ACCELERATOR, Builder, Chosen, origin, origin_of, refuse, refuse_key, text, unique_id,
    with_arguments,
};
use crate::{
    creation::chardev::{self, CHARDEVS},
    options::{
        choice::choose,
        command_line::Entry,
        keyval::{OptionArgs, unquoted},
        stream::Stream,
    },
};

/// The character device behind the first serial port, unless the user names one.
const SERIAL0: &str = "serial0";
/// Where monitors stand.
const MONITORS: &str = "/monitors";
/// The monitor for programs.
const QMP: &str = "monitor-qmp";
/// The character devices behind monitors that are given in short, with their numbers behind it.
const MONITOR_CHARDEV: &str = "compat_monitor";
/// The server of the qtest protocol, and the character device behind it.
const QTEST: &str = "qtest";
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
            chardev::backend(self.registry, name)
                .map_err(|problem| refuse_key(entry, "backend", problem.into()))?;
            let id = unique_id(&mut ids, "chardev", entry, arguments)?;
            let request = chardev::with_id(name, &id);
            self.requests
                .push(with_arguments(request, entry, arguments, &["id"]).from(origin(entry)));
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
        let (stream, by) = match first {
            Some((entry, Stream::None)) => return Ok(FirstSerial::AbsentBy(entry)),
            Some((entry, stream)) => (stream.clone(), Some(entry)),
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
            None => (Stream::Backend { name: DEFAULT_BACKEND, properties: Vec::new() }, None),
        };
        let origin = by.map_or_else(|| self.default_serial(), origin);
        let path = self.stream(&stream, SERIAL0, by, origin)?;
        Ok(FirstSerial::To { path: path.unwrap_or_default(), by })
    }

    /// Where a stream leads: the path of a character device that is defined elsewhere, or of one
    /// that is created for it under that id. None if it leads nowhere.
    fn stream(
        &mut self,
        stream: &Stream,
        id: &str,
        by: Option<&Entry>,
        origin: Origin,
    ) -> Result<Option<String>, StartError> {
        match stream {
            Stream::None => Ok(None),
            Stream::Chardev(id) => match by {
                Some(entry) => self.chardev_path(entry, id).map(Some),
                None => Ok(Some(format!("{CHARDEVS}/{id}"))),
            },
            Stream::Backend { name, properties } => {
                if let Some(entry) = by {
                    chardev::backend(self.registry, name)
                        .map_err(|problem| refuse(entry, problem.into()))?;
                }
                let request = chardev::with_id(name, id).from(origin);
                let request = properties
                    .iter()
                    .fold(request, |request, (key, value)| request.set(key, value.clone()));
                self.requests.push(request);
                Ok(Some(format!("{CHARDEVS}/{id}")))
            }
        }
    }

    /// The path of a character device that the user defined.
    fn chardev_path(&self, entry: &Entry, id: &str) -> Result<String, StartError> {
        let ids: Vec<_> = self.line.chardevs().filter_map(|(_, given)| text(given, "id")).collect();
        if !ids.iter().any(|known| known == id) {
            let suggestion = Suggestion::of(id, ids.iter().map(String::as_str));
            return Err(refuse(entry, OptionError::NoChardev { id: id.to_owned(), suggestion }));
        }
        Ok(format!("{CHARDEVS}/{id}"))
    }

    /// Monitors, and what their clients come from.
    pub(super) fn monitors(&mut self) -> Result<(), StartError> {
        let line = self.line;
        for (number, (entry, (stream, pretty))) in line.qmps().enumerate() {
            let id = format!("{MONITOR_CHARDEV}{number}");
            let Some(path) = self.stream(stream, &id, Some(entry), origin(entry))? else {
                continue;
            };
            self.requests.push(
                Request::new(QMP, MONITORS, format!("qmp[{number}]"))
                    .set("chardev", path)
                    .set("pretty", Value::from(pretty))
                    .from(origin(entry)),
            );
        }
        for (number, (entry, arguments)) in line.monitors().enumerate() {
            let id = arguments.implied.as_deref().unwrap_or_default();
            let path = self.chardev_path(entry, id)?;
            let mode = arguments.get("mode").map(unquoted);
            choose("mode", mode.as_deref().unwrap_or_default(), &[("control", ())])
                .map_err(|problem| refuse_key(entry, "mode", OptionError::Choice(problem)))?;
            let name = text(arguments, "id").unwrap_or_else(|| format!("mon[{number}]"));
            let request = Request::new(QMP, MONITORS, name).set("chardev", path);
            let request = arguments
                .entries
                .iter()
                .filter(|(key, _)| key != "id" && key != "mode")
                .fold(request, |request, (key, value)| {
                    request.set_by(origin_of(entry, key), key, value.clone())
                });
            self.requests.push(request.from(origin(entry)));
        }
        Ok(())
    }

    /// The server of the qtest protocol, and what its client comes from.
    pub(super) fn qtest(&mut self) -> Result<(), StartError> {
        let line = self.line;
        let log = line.qtest_log();
        let Some((entry, stream)) = line.qtest() else {
            return log.map_or(Ok(()), |(entry, _)| Err(refuse(entry, OptionError::NoQtest)));
        };
        if !self.requests.iter().any(|request| request.is_at(ACCELERATOR)) {
            return Err(refuse(entry, OptionError::NoQtestAccelerator));
        }
        let Some(path) = self.stream(stream, QTEST, Some(entry), origin(entry))? else {
            return Ok(());
        };
        let request = Request::new(QTEST, MONITORS, QTEST)
            .set("chardev", path)
            .set("accel", ACCELERATOR)
            .from(origin(entry));
        self.requests.push(match log {
            Some((entry, file)) => {
                let file = file.to_string_lossy().into_owned();
                request.set_by(origin(entry), "log", Value::from(file))
            }
            None => request,
        });
        Ok(())
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
