//! What the policy would make of something that does not exist: `check-security`.

mod order;
mod would_be;

use std::sync::Arc;

use device_model::{
    monitor::{Command, CommandContext, CommandError, register_command},
    qom_core::{Class, CreateError, Globals, Origin, Request, Tree},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::would_be::{Kind, WouldBeObject};
use super::super::prepared::Prepared;
use crate::{
    accelerator::{self, ACCELERATOR},
    creation::block::NodeNames,
    judgement::{Judgement, Verdict},
    machine::{MACHINE, MachineClass},
};

/// How many objects are judged at once. Each that can't be planned has the rest planned again.
const MOST_OBJECTS: usize = 256;

/// `check-security`.
struct CheckSecurity;

/// What would be created, all of it together.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WouldBe {
    /// The objects, in any order. Links among them hold, whether or not the objects exist.
    objects: Vec<WouldBeObject>,
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
    /// Its type, as it was given; empty if none was.
    #[serde(rename = "type")]
    type_name: String,
    /// What is wrong.
    reason: String,
}

impl Invalid {
    fn of(objects: &[WouldBeObject], index: usize, reason: &CommandError) -> Self {
        let type_name = objects.get(index).map(WouldBeObject::type_name).unwrap_or_default();
        Self { index, type_name: type_name.to_owned(), reason: reason.to_string() }
    }
}

/// Whether there is an accelerator for a machine that is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accelerated {
    /// There is none, and needn't be.
    Not,
    /// One is asked about.
    AsAsked,
    /// It has the one that it has on a command line that names none.
    ByDefault,
}

fn accelerated(objects: &[WouldBeObject], machine: Option<&Class>) -> Accelerated {
    let runs_guest = || {
        let data = machine.and_then(Class::data::<MachineClass>);
        data.is_some_and(|machine| machine.runs_guest)
            && objects.iter().any(|object| object.kind == Kind::Machine)
    };
    if objects.iter().any(|object| object.kind == Kind::Accel) {
        return Accelerated::AsAsked;
    }
    if runs_guest() { Accelerated::ByDefault } else { Accelerated::Not }
}

fn default_accelerator() -> Request {
    let name = accelerator::DEFAULT;
    Request::new(
        format!("{name}{}", accelerator::TYPE_SUFFIX),
        "/",
        ACCELERATOR.trim_start_matches('/'),
    )
    .from(Origin::new(format!("-accel {name}")))
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
        let live = context.tree();
        // Who asks about a machine or an accelerator asks about another VM than this one.
        let another =
            objects.iter().any(|object| matches!(object.kind, Kind::Machine | Kind::Accel));
        let machine = match another {
            false => live.resolve(MACHINE).ok().map(|machine| Arc::clone(machine.class())),
            true => objects.iter().find_map(|object| object.machine(live.registry())).cloned(),
        };
        let mut names = match another {
            true => NodeNames::default(),
            false => NodeNames::of(live),
        };
        let mut invalid = Vec::new();
        let mut prepared: Vec<(usize, Prepared)> = Vec::new();
        let accelerated = accelerated(&objects, machine.as_deref());
        if accelerated == Accelerated::ByDefault
            && let Some(index) = objects.iter().position(|object| object.kind == Kind::Machine)
        {
            prepared.push((index, Prepared::of(default_accelerator())));
        }
        for index in order::of_creation(&objects) {
            let object = &objects[index];
            let bare = object.prepare(context, machine.as_deref(), &mut names);
            let links = object.kind == Kind::Machine && accelerated != Accelerated::Not;
            match bare.map(|it| if links && !object.has("accel") { it.with_accel() } else { it }) {
                Ok(one) => prepared.push((index, one)),
                Err(error) => invalid.push(Invalid::of(&objects, index, &error)),
            }
        }
        let requests =
            prepared.iter().map(|(index, prepared)| (*index, prepared.request.clone())).collect();
        let (judged, wrong) = if another {
            let registry = Arc::clone(live.registry());
            let tree = Tree::new(registry, live.policy(), Globals::clone(live.globals()))?;
            judge_each(&tree.with_compat(live.compat()), requests)
        } else {
            judge_each(live, requests)
        };
        // The numbers that they have are their descriptors' up to here.
        drop(prepared);
        let wrong = wrong.into_iter();
        invalid.extend(wrong.map(|(index, error)| Invalid::of(&objects, index, &error.into())));
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
    fn a_machine_alone_has_the_accelerator_that_it_has_by_default() {
        let bench = Bench::running();
        let machine = |properties: Value| {
            let machine = json!({"kind": "machine", "type": "microvm", "properties": properties});
            bench.ok("check-security", json!({"objects": [machine]}))
        };
        let absent = json!({"rtc": false, "isa-serial": false});
        let answer = machine(absent.clone());
        // The devices of the board are another crate's than this one.
        let unknown = answer["invalid"][0]["reason"].as_str().unwrap_or_default();
        assert!(unknown.contains("ioapic"), "{answer}");
        assert_eq!(verdicts(&answer), [("/accel", "permitted")]);
        let mut other = absent;
        other["accel"] = json!("/nowhere");
        let answer = machine(other);
        let reason = answer["invalid"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("/nowhere"), "{answer}");
    }

    #[test]
    fn what_commands_take_is_taken_in_their_form_and_in_any_order() {
        let bench = Bench::running();
        let (descriptor, _other) = std::io::pipe().unwrap();
        bench.machine.platform.descriptors().name("mine", descriptor.into()).unwrap();
        let before = bench.machine.paths();
        let answer = bench.ok(
            "check-security",
            json!({"objects": [
                {"kind": "device", "type": "test-nic-card", "id": "n1",
                 "properties": {"netdev": "n0"}},
                {"kind": "device", "type": "test-card", "id": "c1",
                 "properties": {"chardev": "f0", "backend": "/objects/b0"}},
                {"kind": "chardev", "id": "f0",
                 "backend": {"type": "file", "data": {"out": "/log", "append": true}}},
                {"kind": "netdev", "type": "test-cable", "id": "n0",
                 "properties": {"fd": "mine", "to": {"host": "here"}}},
                {"kind": "object", "type": "test-backend", "id": "b0", "properties": {"size": 1}},
            ]}),
        );
        assert_eq!((&answer["holds"], &answer["invalid"]), (&json!(true), &json!([])), "{answer}");
        let all = verdicts(&answer);
        for path in ["/chardevs/f0", "/netdevs/n0", "/machine/peripheral/n1"] {
            assert!(all.contains(&(path, "permitted")), "{path} in {all:?}");
        }
        assert_eq!(bench.machine.paths(), before);
        // The descriptor is its user's still, to use or to close.
        bench.machine.platform.descriptors().unname("mine").unwrap();
    }

    #[test]
    fn what_no_command_takes_is_told_with_its_place_in_the_list() {
        let bench = Bench::running();
        let file = json!({"type": "file", "data": {"out": "/log"}});
        let loop_of = |id: &str, other: &str| {
            json!({"kind": "device", "type": "test-card", "id": id,
                   "properties": {"backend": other}})
        };
        let answer = bench.ok(
            "check-security",
            json!({"objects": [
                {"kind": "chardev", "type": "file", "id": "c0", "backend": file},
                {"kind": "chardev", "id": "c1", "backend": file, "properties": {"append": true}},
                {"kind": "chardev", "id": "c2"},
                {"kind": "object", "id": "o0", "backend": file},
                {"kind": "netdev", "type": "test-cable", "id": "n0", "properties": {"fd": "theirs"}},
                loop_of("one", "two"),
                loop_of("two", "one"),
            ]}),
        );
        let invalid = answer["invalid"].as_array().expect("a list");
        let told = |index: usize| invalid[index]["reason"].as_str().expect("a reason");
        assert_eq!(told(0), "Parameter 'backend' is unexpected beside 'type'");
        assert_eq!(told(1), "Parameter 'properties' is unexpected beside 'backend'");
        assert_eq!(told(2), "Parameter 'type' is missing");
        assert_eq!(told(3), "Parameter 'backend' is unexpected");
        assert_eq!(told(4), "File descriptor named 'theirs' not found");
        assert_eq!(invalid.len(), 7, "{answer}");
    }

    #[test]
    fn the_list_is_bounded() {
        let object = json!({"kind": "accel", "type": "kvm"});
        let text = "Parameter 'objects' expects at most 256 objects";
        let arguments = json!({"objects": vec![object; 257]});
        Bench::new().refuses("check-security", &arguments, GenericError, text);
    }
}
