//! From options to requests: what a command line asks the tree to create.

use device_model::{
    device::Plug,
    qom_core::{Class, Given, Origin, PropertyType, Registry, Request, Suggestion},
};
use serde_json::Value;

use super::error::{OptionError, StartError};
use crate::{
    machine::{self, MachineClass},
    options::{
        command_line::{CommandLine, Entry, Serial},
        keyval::OptionArgs,
        smp::Topology,
    },
};

/// Where the accelerator stands.
const ACCELERATOR: &str = "/accel";
/// Where the machine stands.
pub(super) const MACHINE: &str = "/machine";
/// Where character devices stand.
const CHARDEVS: &str = "/chardevs";
/// What the accelerator is, unless the user names another.
const DEFAULT_ACCELERATOR: &str = "kvm";
/// What users say of the machine, as QEMU's do, and what is the accelerator's: which it is, and
/// where its interrupt chips are.
const OF_THE_ACCELERATOR: [&str; 2] = ["accel", "kernel-irqchip"];
/// The character device behind the first serial port, unless the user names one.
const SERIAL0: &str = "serial0";

/// Everything that the command line asks for, in the order of creation.
pub(super) fn requests(
    line: &CommandLine,
    registry: &Registry,
) -> Result<Vec<Request>, StartError> {
    let mut builder = Builder { line, registry, requests: Vec::new() };
    let machine = builder.machine_class()?;
    builder.accelerator(&machine)?;
    builder.chardevs()?;
    let serial = builder.serial(&machine)?;
    builder.machine(&machine, serial)?;
    builder.devices()?;
    Ok(builder.requests)
}

/// The machine that was chosen.
struct Chosen<'a> {
    /// Its name without the suffix of its type.
    name: String,
    class: &'a Class,
    data: &'static MachineClass,
    origin: Origin,
}

/// What becomes of the first serial port.
enum FirstSerial {
    Absent,
    To {
        path: String,
        origin: Origin,
    },
    /// `-machine serial0=` says it.
    AsGiven,
}

struct Builder<'a> {
    line: &'a CommandLine,
    registry: &'a Registry,
    requests: Vec<Request>,
}

fn refuse(entry: &Entry, problem: OptionError) -> StartError {
    StartError::Option { place: entry.to_string(), problem }
}

fn origin(entry: &Entry) -> Origin {
    Origin::new(entry.to_string())
}

/// Names of the concrete types below a class, without the suffix or prefix that users leave out.
pub(super) fn short_names<'a>(
    registry: &'a Registry,
    class: &'a str,
    strip: impl Fn(&'static str) -> Option<&'static str> + 'a,
) -> impl Iterator<Item = &'static str> + 'a {
    registry
        .classes()
        .filter(move |candidate| !candidate.is_abstract() && candidate.is_a(class))
        .filter_map(move |candidate| strip(candidate.name()))
}

impl<'a> Builder<'a> {
    fn class(&self, type_name: &str, parent: &str) -> Option<&'a Class> {
        self.registry
            .class(type_name)
            .map(|class| &**class)
            .filter(|class| class.is_a(parent) && !class.is_abstract())
    }

    fn suggest(
        &self,
        given: &str,
        class: &str,
        strip: impl Fn(&'static str) -> Option<&'static str>,
    ) -> Suggestion {
        Suggestion::of(given, short_names(self.registry, class, strip))
    }

    /// The machine that is asked for by name, or the default one.
    fn machine_class(&self) -> Result<Chosen<'a>, StartError> {
        let request = self.line.machine();
        if let Some((entry, name)) = request.machine_type {
            let type_name = format!("{name}{}", machine::TYPE_SUFFIX);
            let found = self.class(&type_name, "machine");
            let (Some(class), Some(data)) = (found, found.and_then(Class::data::<MachineClass>))
            else {
                let suggestion =
                    self.suggest(name, "machine", |name| name.strip_suffix(machine::TYPE_SUFFIX));
                return Err(refuse(
                    entry,
                    OptionError::Machine { name: name.to_owned(), suggestion },
                ));
            };
            return Ok(Chosen { name: name.to_owned(), class, data, origin: origin(entry) });
        }
        let default = self.registry.classes().find_map(|class| {
            let data = class.data::<MachineClass>().filter(|data| data.is_default)?;
            (!class.is_abstract()).then_some((&**class, data))
        });
        let Some((class, data)) = default else {
            return Err(StartError::Option {
                place: "-machine".to_owned(),
                problem: OptionError::Machine {
                    name: String::new(),
                    suggestion: Suggestion::default(),
                },
            });
        };
        let name = class.name().trim_end_matches(machine::TYPE_SUFFIX).to_owned();
        let origin = Origin::new(format!("-machine {name}"));
        Ok(Chosen { name, class, data, origin })
    }

    fn accelerator(&mut self, machine: &Chosen<'_>) -> Result<(), StartError> {
        let mut given = self.line.accelerators();
        let first = given.next();
        if let Some((second, _)) = given.next() {
            return Err(refuse(second, OptionError::SecondAccelerator));
        }
        let request = match (first, self.machine_property("accel")) {
            (Some(_), Some((entry, _))) => {
                return Err(refuse(entry, OptionError::SecondAccelerator));
            }
            (Some((entry, arguments)), None) => {
                let name = arguments.implied.as_deref().unwrap_or_default();
                with_arguments(self.named_accelerator(entry, name)?, arguments, &[])
            }
            (None, Some((entry, name))) => {
                let name = name.as_text().map_or_else(|| name.to_string(), str::to_owned);
                self.named_accelerator(entry, &name)?
            }
            (None, None) if machine.data.runs_guest => {
                request(&format!("{DEFAULT_ACCELERATOR}-accel"), ACCELERATOR)
                    .from(Origin::new(format!("-accel {DEFAULT_ACCELERATOR}")))
            }
            (None, None) => return Ok(()),
        };
        let request = match self.machine_property("kernel-irqchip") {
            Some((entry, value)) => request.set_by(origin(entry), "kernel-irqchip", value.clone()),
            None => request,
        };
        self.requests.push(request);
        Ok(())
    }

    fn named_accelerator(&self, entry: &Entry, name: &str) -> Result<Request, StartError> {
        let type_name = format!("{name}-accel");
        if self.class(&type_name, "accelerator").is_none() {
            let suggestion = self.suggest(name, "accelerator", |name| name.strip_suffix("-accel"));
            let name = name.to_owned();
            return Err(refuse(entry, OptionError::Accelerator { name, suggestion }));
        }
        Ok(request(&type_name, ACCELERATOR).from(origin(entry)))
    }

    fn machine_property(&self, name: &str) -> Option<(&'a Entry, &'a Given)> {
        let properties = self.line.machine().properties;
        properties
            .into_iter()
            .find_map(|(entry, (key, value))| (key == name).then_some((entry, value)))
    }

    fn chardevs(&mut self) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (entry, arguments) in self.line.chardevs() {
            let name = arguments.implied.as_deref().unwrap_or_default();
            let type_name = format!("chardev-{name}");
            if self.class(&type_name, "chardev").is_none() {
                let suggestion =
                    self.suggest(name, "chardev", |name| name.strip_prefix("chardev-"));
                let name = name.to_owned();
                return Err(refuse(entry, OptionError::Chardev { name, suggestion }));
            }
            let id = text(arguments, "id").unwrap_or_default();
            if ids.contains(&id) {
                return Err(refuse(entry, OptionError::DuplicateId { what: "chardev", id }));
            }
            let request = Request::new(type_name, CHARDEVS, &id);
            self.requests.push(with_arguments(request, arguments, &["id"]).from(origin(entry)));
            ids.push(id);
        }
        Ok(())
    }

    /// Creates what the first serial port leads to.
    fn serial(&mut self, machine: &Chosen<'_>) -> Result<FirstSerial, StartError> {
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
        let (backend, origin) = match first {
            Some((_, Serial::None)) => return Ok(FirstSerial::Absent),
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
                return Ok(FirstSerial::To {
                    path: format!("{CHARDEVS}/{id}"),
                    origin: origin(entry),
                });
            }
            Some((entry, Serial::Stdio)) => ("stdio", origin(entry)),
            Some((entry, Serial::Null)) => ("null", origin(entry)),
            None if self.machine_property("serial0").is_some() => return Ok(FirstSerial::AsGiven),
            None if self.machine_property("isa-serial").is_some_and(|(_, value)| is_off(value)) => {
                return Ok(FirstSerial::Absent);
            }
            None if self.line.has_no_defaults() && !self.line.is_nographic() => {
                return Ok(FirstSerial::Absent);
            }
            None => ("stdio", Origin::new("-serial stdio")),
        };
        self.requests.push(
            Request::new(format!("chardev-{backend}"), CHARDEVS, SERIAL0).from(origin.clone()),
        );
        Ok(FirstSerial::To { path: format!("{CHARDEVS}/{SERIAL0}"), origin })
    }

    fn machine(&mut self, machine: &Chosen<'_>, serial: FirstSerial) -> Result<(), StartError> {
        let line = self.line;
        let mut machine_request =
            request(machine.class.name(), MACHINE).from(machine.origin.clone());
        for (entry, (key, value)) in line.machine().properties {
            if !OF_THE_ACCELERATOR.contains(&key) {
                machine_request = machine_request.set_by(origin(entry), key, value.clone());
            }
        }
        let no_guest = || OptionError::NoGuest { machine: machine.name.clone() };
        let for_guest = [
            line.kernel().map(|(entry, _)| entry),
            line.bios().map(|(entry, _)| entry),
            line.initrd().map(|(entry, _)| entry),
            line.append().map(|(entry, _)| entry),
        ];
        if !machine.data.runs_guest {
            if let Some(entry) = for_guest.into_iter().flatten().next() {
                return Err(refuse(entry, no_guest()));
            }
            if let Some((entry, topology)) = line.topology()
                && topology.cpus > machine.data.max_cpus
            {
                return Err(too_many_cpus(entry, topology.cpus, machine));
            }
            if let Some((entry, _)) = line.cpu() {
                return Err(refuse(entry, no_guest()));
            }
            if self.requests.iter().any(|request| request.is_at(ACCELERATOR)) {
                machine_request = machine_request.set("accel", ACCELERATOR);
            }
            self.requests.push(machine_request.set("cpus", Value::from(0)));
            return Ok(());
        }
        machine_request = machine_request.set("accel", ACCELERATOR);
        if let Some((entry, bytes)) = line.memory() {
            machine_request =
                machine_request.set_by(origin(entry), "memory-size", Value::from(bytes));
        }
        if let Some((entry, topology)) = line.topology() {
            let (cpus, maxcpus) = (topology.cpus, topology.maxcpus);
            if cpus > machine.data.max_cpus {
                return Err(too_many_cpus(entry, cpus, machine));
            }
            if maxcpus > cpus {
                return Err(refuse(entry, OptionError::CpuHotplug { cpus, maxcpus }));
            }
            let Topology { sockets, cores, threads, .. } = topology;
            let numbers =
                [("cpus", cpus), ("sockets", sockets), ("cores", cores), ("threads", threads)];
            for (property, number) in numbers {
                machine_request =
                    machine_request.set_by(origin(entry), property, Value::from(number));
            }
        }
        machine_request = self.cpu_model(machine, machine_request)?;
        let files = [("kernel", line.kernel()), ("initrd", line.initrd()), ("bios", line.bios())];
        for (property, given) in files {
            if let Some((entry, path)) = given {
                let path = path.to_string_lossy().into_owned();
                machine_request =
                    machine_request.set_by(origin(entry), property, Value::from(path));
            }
        }
        if let Some((entry, words)) = line.append() {
            machine_request = machine_request.set_by(origin(entry), "append", Value::from(words));
        }
        machine_request = match serial {
            FirstSerial::Absent => machine_request.set("isa-serial", Value::from(false)),
            FirstSerial::To { path, origin } => {
                machine_request.set_by(origin, "serial0", Value::from(path))
            }
            FirstSerial::AsGiven => machine_request,
        };
        self.requests.push(machine_request);
        Ok(())
    }

    fn cpu_model(&self, machine: &Chosen<'_>, request: Request) -> Result<Request, StartError> {
        let Some((entry, model)) = self.line.cpu() else {
            return Ok(request);
        };
        let type_name = format!("{}{}", model.model, crate::cpu::TYPE_SUFFIX);
        if self.class(&type_name, "cpu").is_none() {
            let suggestion = self
                .suggest(&model.model, "cpu", |name| name.strip_suffix(crate::cpu::TYPE_SUFFIX));
            let name = model.model.clone();
            return Err(refuse(entry, OptionError::CpuModel { name, suggestion }));
        }
        debug_assert!(machine.data.runs_guest);
        let features: Vec<_> = model
            .features
            .iter()
            .map(|(name, on)| format!("{}{name}", if *on { '+' } else { '-' }))
            .collect();
        Ok(request.set_by(origin(entry), "cpu-type", Value::from(type_name)).set_by(
            origin(entry),
            "cpu-features",
            Value::from(features.join(",")),
        ))
    }

    fn devices(&mut self) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (anonymous, (entry, arguments)) in self.line.devices().enumerate() {
            let driver = arguments.implied.as_deref().unwrap_or_default();
            check_pluggable(self.registry, driver).map_err(|problem| refuse(entry, problem))?;
            let (container, name) = match text(arguments, "id") {
                Some(id) if ids.contains(&id) => {
                    return Err(refuse(entry, OptionError::DuplicateId { what: "device", id }));
                }
                Some(id) => {
                    ids.push(id.clone());
                    ("peripheral", id)
                }
                None => ("peripheral-anon", format!("device[{anonymous}]")),
            };
            let request = Request::new(driver, format!("{MACHINE}/{container}"), name);
            self.requests.push(with_arguments(request, arguments, &["id"]).from(origin(entry)));
        }
        Ok(())
    }
}

/// Checks that users may create a type with `-device`.
pub(super) fn check_pluggable(registry: &Registry, driver: &str) -> Result<(), OptionError> {
    let class = registry.class(driver).filter(|class| class.is_a("device"));
    let Some(class) = class else {
        let pluggable = registry.classes().filter(|class| {
            !class.is_abstract() && class.is_a("device") && class.data::<Plug>().is_some()
        });
        return Err(OptionError::Device {
            name: driver.to_owned(),
            suggestion: Suggestion::of(driver, pluggable.map(|class| class.name())),
        });
    };
    if class.is_abstract() {
        return Err(OptionError::AbstractDevice);
    }
    if class.data::<Plug>().is_none() {
        return Err(OptionError::UnpluggableDevice);
    }
    Ok(())
}

fn too_many_cpus(entry: &Entry, cpus: u32, machine: &Chosen<'_>) -> StartError {
    let (machine, max) = (machine.name.clone(), machine.data.max_cpus);
    refuse(entry, OptionError::TooManyCpus { cpus, machine, max })
}

/// Whether a switch is off, in any of the ways to say so.
fn is_off(value: &Given) -> bool {
    bool::from_given(value) == Ok(false)
}

/// An object at a path of its own, right below the root.
fn request(type_name: &str, path: &str) -> Request {
    Request::new(type_name, "/", path.trim_start_matches('/'))
}

fn with_arguments(request: Request, arguments: &OptionArgs, but: &[&str]) -> Request {
    arguments
        .entries
        .iter()
        .filter(|(key, _)| !but.contains(&key.as_str()))
        .fold(request, |request, (key, value)| request.set(key, value.clone()))
}

fn text(arguments: &OptionArgs, key: &str) -> Option<String> {
    arguments.get(key).and_then(Given::as_text).map(str::to_owned)
}
