//! What the policy would make of something that does not exist: `check-security`.

use std::sync::Arc;

use device_model::{
    monitor::{Command, CommandContext, CommandError, register_command},
    qom_core::{Class, CreateError, Given, Globals, Origin, Registry, Request, Tree},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{Properties, check_id, with_properties};
use crate::{
    creation::{
        block::{Definition, NodeNames, Place},
        chardev, device, netdev, object,
    },
    judgement::{Judgement, Verdict},
    machine::{self, MACHINE},
    options::keyval::unquoted,
};

/// How many objects are judged at once. Each that can't be planned has the rest planned again.
const MOST_OBJECTS: usize = 256;

/// `check-security`.
struct CheckSecurity;

/// What would be created, all of it together and in this order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WouldBe {
    /// The objects. Links among them hold, whether or not the objects exist.
    objects: Vec<WouldBeObject>,
}

/// An object that would be created.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WouldBeObject {
    /// What makes it.
    kind: Kind,
    /// Its type, as that takes it: `microvm`, `kvm`, `isa-serial`, `socket`.
    #[serde(rename = "type")]
    type_name: String,
    /// What it would be called; objects, character devices and networks must be.
    #[serde(default)]
    id: Option<String>,
    /// Its properties; of a device, also the `bus` that it is to stand on.
    #[serde(default)]
    properties: Properties,
}

/// What makes an object.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// `-machine`.
    Machine,
    /// `-accel`.
    Accel,
    /// `-device` and `device_add`.
    Device,
    /// `-object` and `object-add`.
    Object,
    /// `-chardev` and `chardev-add`, with the properties of the former.
    Chardev,
    /// `-netdev` and `netdev_add`.
    Netdev,
    /// `-blockdev` and `blockdev-add`; its id is its node-name.
    Blockdev,
}

/// What becomes of all of them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Verdicts {
    /// Whether all of them would be created.
    holds: bool,
    /// Each object that would be created, those included that others bring, in order.
    objects: Vec<Judgement>,
    /// Those that can't be created whatever the policy, with what is wrong.
    invalid: Vec<Invalid>,
}

/// An object that can't be created whatever the policy.
#[derive(Serialize, JsonSchema)]
struct Invalid {
    /// Its position in the list, from 0.
    index: usize,
    /// Its type, as it was given.
    #[serde(rename = "type")]
    type_name: String,
    /// What is wrong.
    reason: String,
}

impl WouldBeObject {
    /// The type of a machine of that name.
    fn machine_type(&self) -> String {
        format!("{}{}", self.type_name, machine::TYPE_SUFFIX)
    }

    /// The request that the option or command would make, for a VM with that machine.
    fn request(
        &self,
        context: &CommandContext<'_>,
        machine: Option<&Class>,
        names: &mut NodeNames,
    ) -> Result<Request, CommandError> {
        let (registry, name) = (context.tree().registry(), &*self.type_name);
        let id = || {
            let id = self.id.as_deref();
            id.ok_or_else(|| CommandError::generic("Parameter 'id' is missing"))
        };
        if let Some(id) = &self.id {
            check_id(id)?;
        }
        let mut properties = self.properties.clone();
        let request = match self.kind {
            Kind::Machine => Request::new(self.machine_type(), "/", "machine"),
            Kind::Accel => Request::new(format!("{name}-accel"), "/", "accel"),
            Kind::Device => {
                let (class, plug) = device::pluggable(registry, name)
                    .map_err(|error| CommandError::caused(&error))?;
                let bus = properties.remove("bus").map(|bus| unquoted(&Given::Json(bus)));
                if let Some(machine) = machine {
                    device::check_bus(machine, name, plug, bus.as_deref())
                        .map_err(|error| CommandError::caused(&error))?;
                }
                let request = self
                    .id
                    .as_ref()
                    .map_or_else(|| device::without_id(name), |id| device::with_id(name, id));
                device::on_bus(request, class, bus)
            }
            Kind::Object => {
                object::creatable(registry, name).map_err(|error| CommandError::caused(&error))?;
                object::with_id(name, id()?)
            }
            Kind::Chardev => {
                chardev::backend(registry, name).map_err(|error| CommandError::caused(&error))?;
                chardev::with_id(name, id()?)
            }
            Kind::Netdev => {
                let class = netdev::backend(registry, name)
                    .map_err(|error| CommandError::caused(&error))?;
                let given = properties.into_iter().map(|(name, value)| (name, Given::Json(value)));
                let request = netdev::with_id(name, id()?);
                return Ok(netdev::properties(class, given)
                    .into_iter()
                    .fold(request, |request, (name, value)| request.set(name, value))
                    .from(self.origin()));
            }
            Kind::Blockdev => return self.block_node(names, registry, id()?),
        };
        Ok(with_properties(request.from(self.origin()), properties))
    }

    fn origin(&self) -> Origin {
        let id = self.id.as_ref().map(|id| format!(",id={id}")).unwrap_or_default();
        Origin::new(format!("check-security {}{id}", self.type_name))
    }

    fn block_node(
        &self,
        names: &mut NodeNames,
        registry: &Registry,
        id: &str,
    ) -> Result<Request, CommandError> {
        let own = [("driver", &*self.type_name), ("node-name", id)];
        let own = own.map(|(key, value)| (key.to_owned(), Given::from(value)));
        let given = self.properties.iter();
        let given = given.map(|(key, value)| (key.clone(), Given::Json(value.clone())));
        let entries: Vec<_> = own.into_iter().chain(given).collect();
        let (request, _) = Definition::new(&entries)
            .and_then(|it| it.request(Place { registry, names }, |_| self.origin()))
            .map_err(|error| CommandError::caused(&error))?;
        Ok(request.from(self.origin()))
    }
}

/// What a tree would make of requests.
fn judge(tree: &Tree, requests: Vec<Request>) -> Result<Vec<Judgement>, CreateError> {
    Judgement::all(&tree.plan(requests)?, tree.policy(), tree.compat())
}

/// Judges requests, and leaves out those that can't be planned after the ones before them.
fn judge_each(
    tree: &Tree,
    requests: Vec<(usize, Request)>,
) -> (Vec<Judgement>, Vec<(usize, CreateError)>) {
    let all = requests.iter().map(|(_, request)| request.clone()).collect();
    if let Ok(judged) = judge(tree, all) {
        return (judged, Vec::new());
    }
    let (mut accepted, mut judged, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (index, request) in requests {
        accepted.push(request);
        match judge(tree, accepted.clone()) {
            Ok(now) => judged = now,
            Err(error) => {
                accepted.pop();
                wrong.push((index, error));
            }
        }
    }
    (judged, wrong)
}

impl Command for CheckSecurity {
    const NAME: &'static str = "check-security";
    type Arguments = WouldBe;
    type Returns = Verdicts;

    fn run(context: &CommandContext<'_>, would_be: WouldBe) -> Result<Verdicts, CommandError> {
        let objects = would_be.objects;
        if objects.len() > MOST_OBJECTS {
            return Err(CommandError::generic(format!(
                "Parameter 'objects' expects at most {MOST_OBJECTS} objects"
            )));
        }
        let mut invalid = Vec::new();
        let invalid_one = |index: usize, reason: &CommandError| Invalid {
            index,
            type_name: objects[index].type_name.clone(),
            reason: reason.to_string(),
        };
        // Who asks about a machine or an accelerator asks about another VM than this one.
        let another =
            objects.iter().any(|object| matches!(object.kind, Kind::Machine | Kind::Accel));
        let live = context.tree();
        let machine = match another {
            false => live.resolve(MACHINE).ok().map(|machine| Arc::clone(machine.class())),
            true => objects
                .iter()
                .find(|object| object.kind == Kind::Machine)
                .and_then(|object| live.registry().class(&object.machine_type()).cloned()),
        };
        let mut names = match another {
            true => NodeNames::default(),
            false => NodeNames::of(live),
        };
        let mut requests = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            match object.request(context, machine.as_deref(), &mut names) {
                Ok(request) => requests.push((index, request)),
                Err(error) => invalid.push(invalid_one(index, &error)),
            }
        }
        let (judged, wrong) = if another {
            let registry = Arc::clone(live.registry());
            let tree = Tree::new(registry, live.policy(), Globals::clone(live.globals()))?;
            judge_each(&tree.with_compat(live.compat()), requests)
        } else {
            judge_each(live, requests)
        };
        invalid.extend(wrong.into_iter().map(|(index, error)| invalid_one(index, &error.into())));
        invalid.sort_by_key(|invalid| invalid.index);
        let refused = judged.iter().any(|object| object.verdict == Verdict::Refused);
        Ok(Verdicts { holds: invalid.is_empty() && !refused, objects: judged, invalid })
    }
}

register_command!(CheckSecurity);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::{Value, json};

    use super::super::super::testing::Bench;

    fn verdicts(answer: &Value) -> Vec<(&str, &str)> {
        let objects = answer["objects"].as_array().expect("a list");
        objects
            .iter()
            .map(|object| {
                let text = |key: &str| object[key].as_str().expect("a word");
                (text("path"), text("verdict"))
            })
            .collect()
    }

    #[test]
    fn each_object_and_what_it_would_bring_is_judged_and_nothing_created() {
        let bench = Bench::running();
        let before = bench.machine.paths();
        let answer = bench.ok(
            "check-security",
            json!({"objects": [
                {"kind": "object", "type": "test-backend", "id": "b0", "properties": {"size": 1}},
                {"kind": "device", "type": "test-card", "id": "c0",
                 "properties": {"backend": "/objects/b0"}},
                {"kind": "device", "type": "test-leaky-card", "id": "c1"},
            ]}),
        );
        assert_eq!(answer["holds"], false);
        assert_eq!(answer["invalid"], json!([]));
        let expected = [
            ("/objects/b0", "permitted"),
            ("/machine/peripheral/c0", "permitted"),
            ("/machine/peripheral/c0/chip", "permitted"),
            ("/machine/peripheral/c1", "refused"),
        ];
        let all = verdicts(&answer);
        for one in expected {
            assert!(all.contains(&one), "{one:?} in {all:?}");
        }
        let refused = answer["objects"].as_array().and_then(|all| all.last()).expect("some");
        assert_eq!(
            refused["objections"],
            json!([{
                "what": "Type 'test-leaky-card' is declared as insecure",
                "reason": "it leaks",
            }])
        );
        assert_eq!(bench.machine.paths(), before);
    }

    #[test]
    fn what_can_not_be_is_told_beside_what_can() {
        let bench = Bench::running();
        bench.ok("device_add", json!({"driver": "test-card", "id": "there"}));
        let answer = bench.ok(
            "check-security",
            json!({"objects": [
                {"kind": "device", "type": "warp", "id": "w0"},
                {"kind": "device", "type": "test-card", "id": "there"},
                {"kind": "chardev", "type": "file", "properties": {"path": "/log"}},
                {"kind": "object", "type": "test-backend", "id": "b0"},
                {"kind": "device", "type": "test-card", "id": "c0"},
                {"kind": "device", "type": "isa-test", "id": "i0", "properties": {"bus": "isa.0"}},
                {"kind": "device", "type": "isa-test", "id": "i1", "properties": {"bus": "isa.1"}},
            ]}),
        );
        assert_eq!(answer["holds"], false);
        assert_eq!(
            answer["invalid"],
            json!([
                {"index": 0, "type": "warp", "reason": "'warp' is not a valid device model name"},
                {
                    "index": 1,
                    "type": "test-card",
                    "reason": "attempt to add duplicate property 'there' to object (type 'container')",
                },
                {"index": 2, "type": "file", "reason": "Parameter 'id' is missing"},
                {"index": 3, "type": "test-backend", "reason": "Parameter 'size' is missing"},
                {"index": 6, "type": "isa-test", "reason": "Bus 'isa.1' not found"},
            ])
        );
        for path in ["/machine/peripheral/c0", "/machine/peripheral/i0"] {
            assert!(verdicts(&answer).contains(&(path, "permitted")), "{path} in {answer}");
        }
    }

    #[test]
    fn a_whole_vm_is_judged_by_itself() {
        let bench = Bench::running();
        let answer = bench.ok(
            "check-security",
            json!({"objects": [
                {"kind": "accel", "type": "kvm"},
                {"kind": "machine", "type": "none"},
                {"kind": "chardev", "type": "file", "id": "c0", "properties": {"path": "/log"}},
            ]}),
        );
        assert_eq!(answer["holds"], true, "{answer}");
        let all = verdicts(&answer);
        for path in ["/accel", "/machine", "/machine/peripheral", "/chardevs/c0"] {
            assert!(all.contains(&(path, "permitted")), "{path} in {all:?}");
        }
    }

    #[test]
    fn the_list_is_bounded() {
        let object = json!({"kind": "accel", "type": "kvm"});
        let text = "Parameter 'objects' expects at most 256 objects";
        let arguments = json!({"objects": vec![object; 257]});
        Bench::new().refuses("check-security", &arguments, GenericError, text);
    }
}
