//! The ways to create something: options in each of their forms, commands, and the two that only ask.

use serde_json::{Map, Value, json};
use tests::{
    Scratch, Vmm, matrix_vmm,
    qmp::{Monitored, error_of},
};

use crate::{
    policies::Action,
    registry::{InsecureValue, Registry},
};

/// Something that can be created by an option or a command.
pub(crate) struct Kind {
    /// Class or interface of its types.
    pub(crate) class: &'static str,
    /// What users leave out of the names of its types: an end, or a beginning.
    pub(crate) affix: &'static str,
    /// The option, and its first key, which is implied.
    pub(crate) option: (&'static str, &'static str),
    /// Where they stand; none if there is only one.
    pub(crate) container: Option<&'static str>,
    /// What there is besides.
    pub(crate) rest: &'static [&'static str],
    /// What `check-security` calls it.
    pub(crate) asked_as: Option<&'static str>,
    /// The commands that create one and remove it.
    pub(crate) commands: Option<Commands>,
    /// The forms of the option.
    pub(crate) forms: &'static [Form],
    /// The key under which it is told what it is called.
    pub(crate) id_key: &'static str,
}

/// Commands that create something and remove it.
pub(crate) struct Commands {
    pub(crate) create: &'static str,
    /// Its arguments, given type, id and properties.
    pub(crate) arguments: fn(&str, &str, Map<String, Value>) -> Value,
    pub(crate) remove: &'static str,
}

/// A machine on which processors stand still, so that the host's kernel is not needed.
pub(crate) const STILL: &str = "-machine microvm -accel secure -m 16M";
/// A machine that runs no guest.
pub(crate) const NONE: &str = "-machine none";

fn inline(type_key: &str, name: &str, id: &str, mut properties: Map<String, Value>) -> Value {
    properties.insert(type_key.to_owned(), name.into());
    properties.insert("id".to_owned(), id.into());
    Value::Object(properties)
}

/// The forms of an option that has a section in configuration files too.
const ALL_FORMS: &[Form] = &[Form::Pairs, Form::Json, Form::File];

/// All of them.
pub(crate) static KINDS: [Kind; 8] = [
    Kind {
        class: "machine",
        affix: "-machine",
        option: ("machine", "type"),
        container: None,
        rest: &[""],
        asked_as: Some("machine"),
        commands: None,
        forms: ALL_FORMS,
        id_key: "id",
    },
    Kind {
        class: "accelerator",
        affix: "-accel",
        option: ("accel", "accel"),
        container: None,
        rest: &[NONE],
        asked_as: Some("accel"),
        commands: None,
        forms: ALL_FORMS,
        id_key: "id",
    },
    Kind {
        class: "cpu",
        affix: "-x86_64-cpu",
        option: ("cpu", ""),
        container: None,
        rest: &[STILL, NONE],
        asked_as: None,
        commands: None,
        forms: &[Form::Pairs],
        id_key: "id",
    },
    Kind {
        class: "device",
        affix: "",
        option: ("device", "driver"),
        container: Some("/machine/peripheral"),
        rest: &[STILL, NONE],
        asked_as: Some("device"),
        commands: Some(Commands {
            create: "device_add",
            arguments: |name, id, properties| inline("driver", name, id, properties),
            remove: "device_del",
        }),
        forms: ALL_FORMS,
        id_key: "id",
    },
    Kind {
        class: "user-creatable",
        affix: "",
        option: ("object", "qom-type"),
        container: Some("/objects"),
        rest: &[STILL, NONE],
        asked_as: Some("object"),
        commands: Some(Commands {
            create: "object-add",
            arguments: |name, id, properties| inline("qom-type", name, id, properties),
            remove: "object-del",
        }),
        forms: ALL_FORMS,
        id_key: "id",
    },
    Kind {
        class: "chardev",
        affix: "chardev-",
        option: ("chardev", "backend"),
        container: Some("/chardevs"),
        rest: &[STILL, NONE],
        asked_as: Some("chardev"),
        commands: Some(Commands {
            create: "chardev-add",
            arguments: |name, id, properties| json!({ "id": id, "backend": { "type": name, "data": properties } }),
            remove: "chardev-remove",
        }),
        forms: ALL_FORMS,
        id_key: "id",
    },
    Kind {
        class: "blockdev",
        affix: "blockdev-",
        option: ("blockdev", "driver"),
        container: Some("/blockdevs"),
        rest: &[STILL, NONE],
        asked_as: Some("blockdev"),
        commands: Some(Commands {
            create: "blockdev-add",
            arguments: |name, id, mut properties| {
                properties.insert("driver".to_owned(), name.into());
                properties.insert("node-name".to_owned(), id.into());
                Value::Object(properties)
            },
            remove: "blockdev-del",
        }),
        forms: &[Form::Pairs, Form::Json],
        id_key: "node-name",
    },
    Kind {
        class: "netdev",
        affix: "netdev-",
        option: ("netdev", "type"),
        container: Some("/netdevs"),
        rest: &[STILL, NONE],
        asked_as: Some("netdev"),
        commands: Some(Commands {
            create: "netdev_add",
            arguments: |name, id, properties| inline("type", name, id, properties),
            remove: "netdev_del",
        }),
        forms: ALL_FORMS,
        id_key: "id",
    },
];

/// What users call a type of a kind.
pub(crate) fn short<'a>(kind: &Kind, type_name: &'a str) -> &'a str {
    let without = type_name.strip_suffix(kind.affix).filter(|_| kind.affix.starts_with('-'));
    without.or_else(|| type_name.strip_prefix(kind.affix)).unwrap_or(type_name)
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By the policy.
    Judged(Action),
    /// It failed for another reason, which is here.
    Failed(String),
}

/// Something to be created: kind, type, properties.
pub(crate) struct Attempt<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) type_name: &'a str,
    pub(crate) properties: Map<String, Value>,
    pub(crate) has_insecure_value: bool,
}

/// What says that something is refused or warned of.
const OBJECTIONS: [&str; 5] = [
    "is declared as insecure",
    "is not declared as secure",
    "disabled by policy",
    "is deprecated: ",
    "is unstable: ",
];

fn objects(text: &str) -> bool {
    OBJECTIONS.iter().any(|objection| text.contains(objection))
}

/// The forms of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Pairs,
    Json,
    File,
}

/// What the object is called that an attempt creates.
const ID: &str = "made";

impl Attempt<'_> {
    fn name(&self) -> &str {
        short(self.kind, self.type_name)
    }

    /// Whether its option says what it is called.
    fn has_id(&self) -> bool {
        self.kind.container.is_some()
    }

    fn pairs(&self) -> String {
        let mut text = self.name().to_owned();
        if self.has_id() {
            text += &format!(",{}={ID}", self.kind.id_key);
        }
        for (property, value) in &self.properties {
            match value {
                Value::Object(members) => {
                    for (below, value) in members {
                        text += &format!(",{property}.{below}={}", word(value));
                    }
                }
                value => text += &format!(",{property}={}", word(value)),
            }
        }
        text
    }

    /// The arguments that ask for it.
    fn arguments(&self, form: Form, scratch: &Scratch) -> [String; 2] {
        let (option, key) = self.kind.option;
        match form {
            Form::Pairs => [format!("-{option}"), self.pairs()],
            Form::Json => {
                let mut all = self.properties.clone();
                all.insert(key.to_owned(), self.name().into());
                if self.has_id() {
                    all.insert(self.kind.id_key.to_owned(), ID.into());
                }
                [format!("-{option}"), Value::Object(all).to_string()]
            }
            Form::File => {
                let id = if self.has_id() { format!(" \"{ID}\"") } else { String::new() };
                let mut text = format!("[{option}{id}]\n{key} = \"{}\"\n", self.name());
                for (property, value) in &self.properties {
                    text += &format!("{property} = \"{}\"\n", word(value));
                }
                let file = scratch.file("vm.conf", text);
                ["-readconfig".to_owned(), file.display().to_string()]
            }
        }
    }

    fn line(&self, policy: &str, rest: &str) -> Vmm {
        let words = rest.split_whitespace().chain(policy.split_whitespace());
        Vmm::of(matrix_vmm(), words)
    }

    /// Starts a VM with it.
    pub(crate) fn start(&self, policy: &str, rest: &str, form: Form) -> Outcome {
        let scratch = Scratch::new();
        let vmm =
            self.line(policy, rest).and("-nodefaults -S").args(self.arguments(form, &scratch));
        let folder = scratch.path().to_owned();
        let mut monitored = match Monitored::try_of(vmm.within(folder), scratch) {
            Ok(monitored) => monitored,
            Err(finished) => {
                let finished = finished.code(1);
                let first = finished.lines().first().copied().unwrap_or_default().to_owned();
                return match objects(&first) {
                    true => Outcome::Judged(Action::Refuse),
                    false => Outcome::Failed(first),
                };
            }
        };
        let container = self.kind.container;
        let listed = container.is_none_or(|container| has_child(&mut monitored, container));
        let finished = monitored.quit().code(0);
        assert!(listed, "it is in the tree\n{finished}");
        let warned = |line: &&str| line.contains(": warning: ") && objects(line);
        Outcome::Judged(match finished.lines().iter().any(warned) {
            true => Action::Warn,
            false => Action::Permit,
        })
    }

    /// Asks `check` about a VM with it.
    pub(crate) fn check(&self, policy: &str, rest: &str) -> Outcome {
        let scratch = Scratch::new();
        let words = rest.split_whitespace().chain(policy.split_whitespace());
        let check = ["check", "--json", "-nodefaults"].into_iter();
        let vmm = Vmm::of(matrix_vmm(), check.chain(words))
            .args(self.arguments(Form::Pairs, &scratch))
            .within(scratch.path());
        let finished = vmm.run();
        let Ok(answer) = serde_json::from_str::<Value>(&finished.stdout()) else {
            return Outcome::Failed(finished.stderr().to_owned());
        };
        finished.code(i32::from(answer["holds"] == false));
        worst(&answer["objects"])
    }

    /// The types of all that there would be, were everything permitted.
    pub(crate) fn brings(&self, rest: &str) -> Vec<String> {
        let scratch = Scratch::new();
        let words = rest.split_whitespace();
        let check = ["check", "--json", "-nodefaults", "-compat", "insecure-types=accept"];
        let vmm = Vmm::of(matrix_vmm(), check.into_iter().chain(words))
            .args(self.arguments(Form::Pairs, &scratch))
            .within(scratch.path());
        let answer: Value = serde_json::from_str(&vmm.run().stdout()).unwrap_or_default();
        let objects = answer["objects"].as_array().cloned().unwrap_or_default();
        let name = |object: &Value| object["type"].as_str().unwrap_or_default().to_owned();
        objects.iter().map(name).collect()
    }

    /// Asks a VM about it.
    pub(crate) fn ask(&self, monitored: &mut Monitored) -> Option<Outcome> {
        let kind = self.kind.asked_as?;
        let mut object = json!({
            "kind": kind, "type": self.name(), "properties": self.properties,
        });
        if self.has_id() {
            object["id"] = ID.into();
        }
        let answer = monitored.qmp.execute("check-security", json!({ "objects": [object] }));
        let invalid = answer["invalid"].as_array().and_then(|invalid| invalid.first());
        Some(match invalid {
            Some(invalid) => Outcome::Failed(invalid["reason"].to_string()),
            None => worst(&answer["objects"]),
        })
    }

    /// Has a VM create it by a command, and remove it. Whatever would be warned of counts as
    /// permitted here, since warnings are in the log.
    pub(crate) fn command(&self, monitored: &mut Monitored) -> Option<Outcome> {
        let Commands { create, arguments, remove } = self.kind.commands.as_ref()?;
        let arguments = arguments(self.name(), ID, self.properties.clone());
        let request = json!({ "execute": create, "arguments": arguments });
        let answer = monitored.qmp.ask(&request);
        let container = self.kind.container.expect("what a command makes has an id");
        if let Some((_, text)) = error_of(&answer) {
            assert!(!has_child(monitored, container), "{request}: nothing of it is there");
            if text == format!("Parameter 'backend.type' does not accept value '{}'", self.name()) {
                // QEMU's schema lists the backends that its command makes.
                return None;
            }
            return Some(match objects(&text) {
                true => Outcome::Judged(Action::Refuse),
                false => Outcome::Failed(text),
            });
        }
        assert!(has_child(monitored, container), "{request}: it is in the tree");
        monitored.qmp.execute(remove, json!({ self.kind.id_key: ID }));
        assert!(!has_child(monitored, container), "{request}: it has gone");
        Some(Outcome::Judged(Action::Permit))
    }

    /// As [`Attempt::command`], by what a person types, which there is for devices.
    pub(crate) fn typed(&self, monitored: &mut Monitored) -> Option<Outcome> {
        let Commands { create, remove, .. } = self.kind.commands.as_ref()?;
        let container = self.kind.container.filter(|_| self.kind.option.0 == "device")?;
        let told = monitored.qmp.human(&format!("{create} {}", self.pairs()));
        if !told.is_empty() {
            assert!(!has_child(monitored, container), "{told}: nothing of it is there");
            return Some(match objects(&told) {
                true => Outcome::Judged(Action::Refuse),
                false => Outcome::Failed(told),
            });
        }
        assert!(has_child(monitored, container), "it is in the tree");
        assert_eq!(monitored.qmp.human(&format!("{remove} {ID}")), "");
        assert!(!has_child(monitored, container), "it has gone");
        Some(Outcome::Judged(Action::Permit))
    }

    /// What a log says before what it warns of, if a command asks for it.
    pub(crate) fn warning(&self) -> Option<String> {
        let create = self.kind.commands.as_ref()?.create;
        Some(format!(": warning: {create} {},{}={ID}: ", self.name(), self.kind.id_key))
    }

    /// Has a VM create it, which it does. Its path.
    pub(crate) fn create(&self, monitored: &mut Monitored) -> String {
        let Commands { create, arguments, .. } = self.kind.commands.as_ref().expect("there is one");
        monitored.qmp.execute(create, arguments(self.name(), ID, self.properties.clone()));
        format!("{}/{ID}", self.kind.container.expect("what a command makes has an id"))
    }

    /// Has a VM remove it.
    pub(crate) fn remove(&self, monitored: &mut Monitored) {
        let Commands { remove, .. } = self.kind.commands.as_ref().expect("there is one");
        monitored.qmp.execute(remove, json!({ self.kind.id_key: ID }));
    }

    /// Which ways of the start there are for it.
    pub(crate) fn forms(&self) -> &'static [Form] {
        self.kind.forms
    }
}

/// The strictest verdict among objects.
fn worst(objects: &Value) -> Outcome {
    let objects = objects.as_array().expect("objects are listed");
    let action = |object: &Value| match object["verdict"].as_str() {
        Some("permitted") => Action::Permit,
        Some("warned") => Action::Warn,
        Some("refused") => Action::Refuse,
        other => panic!("{other:?} is no verdict"),
    };
    Outcome::Judged(objects.iter().map(action).max().unwrap_or(Action::Permit))
}

fn has_child(monitored: &mut Monitored, container: &str) -> bool {
    let listed =
        monitored.qmp.ask(&json!({ "execute": "qom-list", "arguments": { "path": container } }));
    let children = listed["return"].as_array().cloned().unwrap_or_default();
    children.iter().any(|child| child["name"] == ID)
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_string(),
    }
}

/// Everything that can be created: each type as each kind that it is of, and each value of it that
/// is declared insecure.
pub(crate) fn attempts(registry: &Registry) -> Vec<Attempt<'_>> {
    let mut all = Vec::new();
    for kind in &KINDS {
        for type_name in registry.concrete().filter(|name| registry.is_creatable(name, kind.class))
        {
            let required: Map<_, _> = registry.required(type_name).into_iter().collect();
            for InsecureValue { property, value, .. } in registry.insecure_values(type_name) {
                let mut properties = required.clone();
                properties.insert(property, value);
                all.push(Attempt { kind, type_name, properties, has_insecure_value: true });
            }
            all.push(Attempt { kind, type_name, properties: required, has_insecure_value: false });
        }
    }
    all
}
