//! One object that `check-security` is asked about, and the request that its option or command would
//! make.

use std::sync::Arc;

use device_model::{
    monitor::{CommandContext, CommandError},
    qom_core::{Class, Given, Origin, Registry, Request, Value},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::super::{
    arguments::{Properties, check_id, given},
    chardev::{self, Backend},
    netdev, objects,
    prepared::Prepared,
};
use crate::{
    accelerator::{self, ACCELERATOR},
    creation::{
        block::{BLOCKDEVS, Definition, NodeNames, Place},
        chardev as chardevs, device,
        netdev::NETDEVS,
        object::OBJECTS,
    },
    machine::{self, MACHINE},
    options::keyval::unquoted,
};

/// An object that would be created.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WouldBeObject {
    /// What makes it.
    pub(super) kind: Kind,
    /// Its type, as that takes it: `microvm`, `kvm`, `isa-serial`, `socket`. Only a character device
    /// with a `backend` has none.
    #[serde(rename = "type", default)]
    type_name: Option<String>,
    /// What it would be called; objects, character devices and networks must be.
    #[serde(default)]
    id: Option<String>,
    /// Its properties; of a device, also the `bus` that it is to stand on.
    #[serde(default)]
    properties: Properties,
    /// What a character device leads to, as `chardev-add` takes it, instead of type and properties.
    #[serde(default)]
    backend: Option<Backend>,
}

/// What makes an object.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// `-machine`. One that runs a guest has the accelerator that is asked about, or the default one.
    Machine,
    /// `-accel`.
    Accel,
    /// `-device` and `device_add`.
    Device,
    /// `-object` and `object-add`.
    Object,
    /// `-chardev`, with its properties, and `chardev-add`, with a backend.
    Chardev,
    /// `-netdev` and `netdev_add`.
    Netdev,
    /// `-blockdev` and `blockdev-add`; its id is its node-name.
    Blockdev,
}

impl Kind {
    /// Where its objects stand that have ids; none if there is but one.
    pub(super) const fn container(self) -> Option<&'static str> {
        match self {
            Self::Machine | Self::Accel => None,
            Self::Device => Some(device::PERIPHERAL),
            Self::Object => Some(OBJECTS),
            Self::Chardev => Some(chardevs::CHARDEVS),
            Self::Netdev => Some(NETDEVS),
            Self::Blockdev => Some(BLOCKDEVS),
        }
    }
}

impl WouldBeObject {
    /// Its type as it was given; nothing if it was not.
    pub(super) fn type_name(&self) -> &str {
        let backend = self.backend.as_ref().map(|backend| &*backend.type_name);
        self.type_name.as_deref().or(backend).unwrap_or_default()
    }

    /// What others may call it.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a property of that name is given.
    pub(super) fn has(&self, property: &str) -> bool {
        self.properties.contains_key(property)
    }

    /// All values that it is given.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.properties.values().chain(self.backend.iter().flat_map(|it| it.data.values()))
    }

    /// The class of the machine that it is, if it is one of a type that there is.
    pub(super) fn machine<'a>(&self, registry: &'a Registry) -> Option<&'a Arc<Class>> {
        match self.kind {
            Kind::Machine => registry.class(&self.machine_type()),
            _ => None,
        }
    }

    fn machine_type(&self) -> String {
        format!("{}{}", self.type_name(), machine::TYPE_SUFFIX)
    }

    fn origin(&self) -> Origin {
        let id = self.id.as_ref().map(|id| format!(",id={id}")).unwrap_or_default();
        Origin::new(format!("check-security {}{id}", self.type_name()))
    }

    /// Checks that it is given in one form.
    fn check_form(&self) -> Result<(), CommandError> {
        let unexpected =
            |what: &str| Err(CommandError::generic(format!("Parameter '{what}' is unexpected")));
        let beside = |what: &str, other: &str| {
            let text = format!("Parameter '{what}' is unexpected beside '{other}'");
            Err(CommandError::generic(text))
        };
        match (&self.backend, &self.type_name) {
            (Some(_), _) if self.kind != Kind::Chardev => unexpected("backend"),
            (Some(_), Some(_)) => beside("backend", "type"),
            (Some(_), None) if !self.properties.is_empty() => beside("properties", "backend"),
            (None, None) => Err(CommandError::generic("Parameter 'type' is missing")),
            _ => Ok(()),
        }
    }

    /// The request that the option or command would make, for a VM with that machine.
    ///
    /// # Errors
    /// What the option or command would say, as far as it does not depend on other objects.
    pub(super) fn prepare(
        &self,
        context: &CommandContext<'_>,
        machine: Option<&Class>,
        names: &mut NodeNames,
    ) -> Result<Prepared, CommandError> {
        self.check_form()?;
        let (registry, name) = (context.tree().registry(), self.type_name());
        let id = || {
            let id = self.id.as_deref();
            id.ok_or_else(|| CommandError::generic("Parameter 'id' is missing"))
        };
        if let Some(id) = &self.id {
            check_id(id)?;
        }
        match self.kind {
            Kind::Machine => Ok(self.alone(self.machine_type(), MACHINE)),
            Kind::Accel => {
                Ok(self.alone(format!("{name}{}", accelerator::TYPE_SUFFIX), ACCELERATOR))
            }
            Kind::Device => self.device(context, machine),
            Kind::Object => {
                let properties = self.properties.clone();
                objects::prepare(context, name, id()?, properties, self.origin())
            }
            Kind::Chardev => match &self.backend {
                Some(backend) => chardev::prepare(context, id()?, backend.clone(), self.origin()),
                None => {
                    let class = chardevs::backend(registry, name)
                        .map_err(|error| CommandError::caused(&error))?;
                    let request = chardevs::with_id(name, id()?).from(self.origin());
                    Prepared::new(context, class, request, given(self.properties.clone()))
                }
            },
            Kind::Netdev => {
                let properties = given(self.properties.clone());
                netdev::prepare(context, name, id()?, properties, self.origin())
            }
            Kind::Blockdev => self.block_node(names, registry, id()?),
        }
    }

    /// The request for the only object of its kind, at that path.
    fn alone(&self, type_name: String, path: &str) -> Prepared {
        let request = Request::new(type_name, "/", path.trim_start_matches('/'));
        let properties = given(self.properties.clone()).into_iter();
        let request = properties.fold(request, |request, (name, value)| request.set(name, value));
        Prepared::of(request.from(self.origin()))
    }

    fn device(
        &self,
        context: &CommandContext<'_>,
        machine: Option<&Class>,
    ) -> Result<Prepared, CommandError> {
        let name = self.type_name();
        let (class, plug) = device::pluggable(context.tree().registry(), name)
            .map_err(|error| CommandError::caused(&error))?;
        let mut properties = self.properties.clone();
        let bus = properties.remove("bus").map(|bus| unquoted(&Given::Json(bus)));
        if let Some(machine) = machine {
            device::check_bus(machine, name, plug, bus.as_deref())
                .map_err(|error| CommandError::caused(&error))?;
        }
        let request =
            self.id().map_or_else(|| device::without_id(name), |id| device::with_id(name, id));
        let request = device::on_bus(request.from(self.origin()), class, bus);
        Prepared::new(context, class, request, given(properties))
    }

    fn block_node(
        &self,
        names: &mut NodeNames,
        registry: &Registry,
        id: &str,
    ) -> Result<Prepared, CommandError> {
        let own = [("driver", self.type_name()), ("node-name", id)];
        let own = own.map(|(key, value)| (key.to_owned(), Given::from(value)));
        let entries: Vec<_> = own.into_iter().chain(given(self.properties.clone())).collect();
        let (request, _) = Definition::new(&entries)
            .and_then(|it| it.request(Place { registry, names }, |_| self.origin()))
            .map_err(|error| CommandError::caused(&error))?;
        Ok(Prepared::of(request.from(self.origin())))
    }
}
