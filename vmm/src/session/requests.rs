//! From options to requests: what a command line asks the tree to create.

mod agreement;
mod block;
mod guestless;
mod nested;
mod networks;
mod streams;

use device_model::{
    descriptors::Descriptors,
    qom_core::{Class, Given, Origin, Registry, Request, Suggestion},
};
use serde_json::Value;

use self::{nested::with_nested_arguments, streams::FirstSerial};
use super::error::{OptionError, StartError};
use crate::{
    accelerator::{self, ACCELERATOR},
    creation::{device, object},
    machine::{self, MACHINE, MachineClass},
    options::{
        command_line::{CommandLine, Entry, MACHINE_KEYS},
        key::names,
        keyval::{OptionArgs, unquoted},
        smp::Topology,
    },
};

/// Where the interrupt chips are, which users say of machine or accelerator, as QEMU's do.
pub(super) const IRQCHIP: &str = "kernel-irqchip";
/// What users say of the machine and is the accelerator's.
const OF_THE_ACCELERATOR: [&str; 2] = ["accel", IRQCHIP];
/// The machine's property that names one of the user's objects.
const MEMORY_BACKEND: &str = "memory-backend";
/// The machine's properties that name files.
const FILES: [&str; 3] = ["kernel", "initrd", "bios"];

/// Everything that the command line asks for, in the order of creation.
pub(super) fn requests(
    line: &CommandLine,
    registry: &Registry,
    descriptors: &Descriptors,
) -> Result<Vec<Request>, StartError> {
    let mut builder = Builder { line, registry, descriptors, requests: Vec::new() };
    let machine = builder.machine_class()?;
    builder.accelerator(&machine)?;
    builder.objects()?;
    builder.chardevs()?;
    builder.netdevs()?;
    let disks = builder.block_nodes()?;
    builder.monitors()?;
    builder.qtest()?;
    let serial = builder.serial(&machine)?;
    builder.machine(&machine, serial)?;
    builder.devices(&machine)?;
    builder.disks(&machine, disks)?;
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

struct Builder<'a> {
    line: &'a CommandLine,
    registry: &'a Registry,
    /// What was handed over, for what looks at a file.
    descriptors: &'a Descriptors,
    requests: Vec<Request>,
}

fn refuse(entry: &Entry, problem: OptionError) -> StartError {
    StartError::Option { place: entry.to_string(), problem }
}

/// As [`refuse`], for one key of the option.
fn refuse_key(entry: &Entry, key: &str, problem: OptionError) -> StartError {
    StartError::Option { place: entry.place_of(key), problem }
}

fn origin(entry: &Entry) -> Origin {
    Origin::new(entry.to_string())
}

/// Who gives a property: in a configuration file the line of it.
fn origin_of(entry: &Entry, key: &str) -> Origin {
    Origin::new(entry.place_of(key))
}

/// Who names a file, with the file: messages about it do not name it once more.
fn origin_of_file(entry: &Entry, key: &str, file: &str) -> Origin {
    let (place, file) = (entry.place_of(key), file.escape_debug().to_string());
    match place.contains(&file) {
        true => Origin::new(place),
        // A line of a configuration file, or an option too long to be shown whole.
        false => Origin::new(format!("{place}: '{file}'")),
    }
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
                return Err(refuse_key(
                    entry,
                    "type",
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
                self.agree_on_irqchip(entry, name, arguments)?;
                with_arguments(self.named_accelerator(entry, name)?, entry, arguments, &[])
            }
            (None, Some((entry, name))) => {
                let name = name.as_text().map_or_else(|| name.to_string(), str::to_owned);
                self.named_accelerator(entry, &name)?
            }
            (None, None) if machine.data.runs_guest => {
                let name = accelerator::DEFAULT;
                request(&format!("{name}{}", accelerator::TYPE_SUFFIX), ACCELERATOR)
                    .from(Origin::new(format!("-accel {name}")))
            }
            (None, None) => {
                let Some((entry, _)) = self.machine_property(IRQCHIP) else { return Ok(()) };
                let machine = machine.name.clone();
                return Err(refuse_key(entry, IRQCHIP, OptionError::NoGuest { machine }));
            }
        };
        let request = match self.machine_property(IRQCHIP) {
            Some((entry, value)) => {
                request.set_by(origin_of(entry, IRQCHIP), IRQCHIP, value.clone())
            }
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
            return Err(refuse_key(entry, "accel", OptionError::Accelerator { name, suggestion }));
        }
        Ok(request(&type_name, ACCELERATOR).from(origin(entry)))
    }

    fn machine_property(&self, name: &str) -> Option<(&'a Entry, &'a Given)> {
        let properties = self.line.machine().properties;
        properties
            .into_iter()
            .find_map(|(entry, (key, value))| (key == name).then_some((entry, value)))
    }

    fn machine(&mut self, machine: &Chosen<'_>, serial: FirstSerial<'_>) -> Result<(), StartError> {
        let line = self.line;
        let mut machine_request =
            request(machine.class.name(), MACHINE).from(machine.origin.clone());
        for (entry, (key, value)) in line.machine().properties {
            if OF_THE_ACCELERATOR.contains(&key) {
                continue;
            }
            if machine.class.property(key).is_none() {
                return Err(refuse_key(entry, key, unknown_property(machine.class, key)));
            }
            let origin = match value.as_text().filter(|_| FILES.contains(&key)) {
                Some(file) => origin_of_file(entry, key, file),
                None => origin_of(entry, key),
            };
            let value = match value.as_text().filter(|_| key == MEMORY_BACKEND) {
                // An id, as users know the object by, unless it is a path.
                Some(id) if !id.is_empty() && !id.contains('/') => {
                    Given::from(format!("{}/{id}", object::OBJECTS))
                }
                _ => value.clone(),
            };
            machine_request = machine_request.set_by(origin, key, value);
        }
        if !machine.data.runs_guest {
            let request = self.without_guest(machine, machine_request)?;
            self.requests.push(request);
            return Ok(());
        }
        machine_request = machine_request.set("accel", ACCELERATOR);
        if let Some((entry, bytes)) = line.memory() {
            let set = self.agreed(machine, entry, "memory-size", Value::from(bytes))?;
            machine_request = set.apply(machine_request);
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
                let set = self.agreed(machine, entry, property, Value::from(number))?;
                machine_request = set.apply(machine_request);
            }
        }
        machine_request = self.cpu_model(machine, machine_request)?;
        for (property, given) in FILES.into_iter().zip([line.kernel(), line.initrd(), line.bios()])
        {
            if let Some((entry, path)) = given {
                let path = path.to_string_lossy().into_owned();
                let mut set = self.agreed(machine, entry, property, Value::from(&*path))?;
                set.origin = origin_of_file(entry, property, &path);
                machine_request = set.apply(machine_request);
            }
        }
        if let Some((entry, words)) = line.append() {
            let set = self.agreed(machine, entry, "append", Value::from(words))?;
            machine_request = set.apply(machine_request);
        }
        machine_request = match serial {
            FirstSerial::Absent => machine_request.set("isa-serial", Value::from(false)),
            FirstSerial::AbsentBy(entry) => {
                let set = self.agreed(machine, entry, "isa-serial", Value::from(false))?;
                set.apply(machine_request)
            }
            FirstSerial::To { path, by } => match by {
                Some(entry) => {
                    let set = self.agreed(machine, entry, "serial0", Value::from(path))?;
                    set.apply(machine_request)
                }
                None => machine_request.set_by(self.default_serial(), "serial0", Value::from(path)),
            },
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
        let features: Vec<_> = model
            .features
            .iter()
            .map(|(name, on)| format!("{}{name}", if *on { '+' } else { '-' }))
            .collect();
        let mut request =
            self.agreed(machine, entry, "cpu-type", Value::from(type_name))?.apply(request);
        if !features.is_empty() {
            let features = Value::from(features.join(","));
            request = self.agreed(machine, entry, "cpu-features", features)?.apply(request);
        }
        Ok(request)
    }

    fn objects(&mut self) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (entry, arguments) in self.line.objects() {
            let name = arguments.implied.as_deref().unwrap_or_default();
            object::creatable(self.registry, name)
                .map_err(|problem| refuse_key(entry, "qom-type", problem.into()))?;
            let id = unique_id(&mut ids, "object", entry, arguments)?;
            let request = object::with_id(name, &id).from(origin(entry));
            self.requests.push(with_nested_arguments(request, entry, arguments)?);
        }
        Ok(())
    }

    fn devices(&mut self, machine: &Chosen<'_>) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (position, (entry, arguments)) in (0..).zip(self.line.devices()) {
            let driver = arguments.implied.as_deref().unwrap_or_default();
            let (class, plug) = device::pluggable(self.registry, driver)
                .map_err(|problem| refuse_key(entry, "driver", problem.into()))?;
            let bus = arguments.get("bus").map(unquoted);
            device::check_bus(machine.class, driver, plug, bus.as_deref())
                .map_err(|problem| refuse_key(entry, "bus", problem.into()))?;
            let request = match text(arguments, "id") {
                Some(id) if ids.contains(&id) => {
                    return Err(refuse(entry, OptionError::DuplicateId { what: "device", id }));
                }
                Some(id) => {
                    let request = device::with_id(driver, &id);
                    ids.push(id);
                    request
                }
                None => device::at_position(driver, position),
            };
            let beside: &[_] = if device::finds_bus(class) { &["id"] } else { &["id", "bus"] };
            self.requests
                .push(with_arguments(request, entry, arguments, beside).from(origin(entry)));
        }
        Ok(())
    }
}

fn too_many_cpus(entry: &Entry, cpus: u32, machine: &Chosen<'_>) -> StartError {
    let (machine, max) = (machine.name.clone(), machine.data.max_cpus);
    refuse(entry, OptionError::TooManyCpus { cpus, machine, max })
}

/// An object at a path of its own, right below the root.
fn request(type_name: &str, path: &str) -> Request {
    Request::new(type_name, "/", path.trim_start_matches('/'))
}

/// The properties among the keys of an option, which are all but those `beside` them.
fn with_arguments(
    request: Request,
    entry: &Entry,
    arguments: &OptionArgs,
    beside: &[&str],
) -> Request {
    arguments
        .entries
        .iter()
        .filter(|(key, _)| !beside.contains(&key.as_str()))
        .fold(request, |request, (key, value)| {
            request.set_by(origin_of(entry, key), key, value.clone())
        })
}

/// That neither the machine nor `-machine` has something of that name.
fn unknown_property(class: &Class, given: &str) -> OptionError {
    let known = class.properties().map(|(property, _)| property.name);
    let known = known.chain(OF_THE_ACCELERATOR).chain(names(&MACHINE_KEYS));
    OptionError::MachineProperty {
        class: class.name().to_owned(),
        property: given.to_owned(),
        suggestion: Suggestion::of(given, known),
    }
}

/// The id that an option gives, which none before it of its kind has given.
fn unique_id(
    ids: &mut Vec<String>,
    what: &'static str,
    entry: &Entry,
    arguments: &OptionArgs,
) -> Result<String, StartError> {
    let id = text(arguments, "id").unwrap_or_default();
    if ids.contains(&id) {
        return Err(refuse(entry, OptionError::DuplicateId { what, id }));
    }
    ids.push(id.clone());
    Ok(id)
}

fn text(arguments: &OptionArgs, key: &str) -> Option<String> {
    arguments.get(key).and_then(Given::as_text).map(str::to_owned)
}
