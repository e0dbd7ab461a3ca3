//! The ways to create something: by options in each of their forms, by commands, and the two that only
//! ask.

use std::path::Path;

use serde_json::{Map, Value, json};
use tests::{
    Finished, Scratch, Vmm, matrix_vmm,
    qmp::{Monitored, error_of},
};

use crate::{
    forms::Form,
    kinds::{Commands, KINDS, Kind, short},
    policies::Action,
    registry::{InsecureValue, Registry},
};

/// The program that is tried, and what it is told of its policy.
#[derive(Clone, Copy)]
pub(crate) struct Under<'a> {
    pub(crate) program: &'a Path,
    pub(crate) options: &'a str,
}

impl Under<'_> {
    /// The program with these words in between, before the options.
    fn line(self, first: &[&str], rest: &str) -> Vmm {
        let words = rest.split_whitespace().chain(self.options.split_whitespace());
        Vmm::of(self.program, first.iter().copied().chain(words))
    }

    /// A VM of the program.
    pub(crate) fn vm(self, rest: &str) -> Monitored {
        Monitored::of(self.line(&[], rest).and("-nodefaults -S"), Scratch::new())
    }
}

/// Ends the process by a signal when it aborts.
const SIGABRT: i32 = 6;

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
    /// The property among them whose value is insecure.
    pub(crate) insecure: Option<String>,
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

/// What the object is called that an attempt creates.
pub(crate) const ID: &str = "made";

impl Attempt<'_> {
    /// What users call its type.
    pub(crate) fn name(&self) -> &str {
        short(self.kind, self.type_name)
    }

    /// Whether its option says what it is called.
    pub(crate) fn has_id(&self) -> bool {
        self.kind.container.is_some()
    }

    /// The VM that it would be part of.
    pub(crate) fn vmm(&self, under: Under<'_>, rest: &str, form: Form, scratch: &Scratch) -> Vmm {
        let vmm = under.line(&[], rest).and("-nodefaults -S");
        vmm.args(self.arguments(form, scratch)).within(scratch.path())
    }

    /// Starts a VM with it.
    pub(crate) fn start(&self, under: Under<'_>, rest: &str, form: Form) -> Outcome {
        let scratch = Scratch::new();
        let vmm = self.vmm(under, rest, form, &scratch);
        let mut monitored = match Monitored::try_of(vmm, scratch) {
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

    /// Starts a VM with it, which aborts over it.
    pub(crate) fn crashes(&self, under: Under<'_>, rest: &str, form: Form) {
        let scratch = Scratch::new();
        let finished = self.vmm(under, rest, form, &scratch).run().killed_by(SIGABRT);
        let first = finished.lines().first().copied().unwrap_or_default().to_owned();
        assert!(objects(&first), "{finished}");
    }

    /// Has a VM create it by a command, which the VM aborts over. False if there is no command for it.
    pub(crate) fn crashes_by_command(&self, mut monitored: Monitored) -> bool {
        let Some(request) = self.request() else { return false };
        monitored.qmp.send(format!("{request}\n"));
        match monitored.qmp.line() {
            None => {
                monitored.running.finish().killed_by(SIGABRT);
                true
            }
            Some(answer) => {
                let answer = serde_json::from_str(&answer).expect("it is JSON");
                let (_, text) = error_of(&answer).expect("it fails");
                assert!(self.is_unknown_to_the_command(&text), "{request}: {text}");
                monitored.quit().code(0);
                false
            }
        }
    }

    /// Whether its command says that it makes none of these: QEMU's schema lists the backends that
    /// its command makes.
    fn is_unknown_to_the_command(&self, text: &str) -> bool {
        text == format!("Parameter 'backend.type' does not accept value '{}'", self.name())
    }

    /// Asks `check` about a VM with it.
    pub(crate) fn check(&self, under: Under<'_>, rest: &str, form: Form) -> Outcome {
        let finished = self.checked(under, rest, form);
        let Ok(answer) = serde_json::from_str::<Value>(&finished.stdout()) else {
            return Outcome::Failed(finished.stderr().to_owned());
        };
        finished.code(i32::from(answer["holds"] == false));
        worst(&answer["objects"])
    }

    fn checked(&self, under: Under<'_>, rest: &str, form: Form) -> Finished {
        let scratch = Scratch::new();
        let vmm = under.line(&["check", "--json", "-nodefaults"], rest);
        vmm.args(self.arguments(form, &scratch)).within(scratch.path()).run()
    }

    /// The types of all that there would be, were everything permitted.
    pub(crate) fn brings(&self, rest: &str) -> Vec<String> {
        let program = matrix_vmm();
        let under = Under { program: &program, options: "-compat insecure-types=accept" };
        let checked = self.checked(under, rest, self.kind.forms[0]);
        let answer: Value = serde_json::from_str(&checked.stdout()).unwrap_or_default();
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

    /// The command that creates it, if there is one.
    pub(crate) fn request(&self) -> Option<Value> {
        let Commands { create, arguments, .. } = self.kind.commands.as_ref()?;
        let arguments = arguments(self.name(), ID, self.properties.clone());
        Some(json!({ "execute": create, "arguments": arguments }))
    }

    /// Has a VM create it by a command, and remove it. Whatever would be warned of counts as
    /// permitted here, since warnings are in the log.
    pub(crate) fn command(&self, monitored: &mut Monitored) -> Option<Outcome> {
        let remove = self.kind.commands.as_ref()?.remove;
        let request = self.request()?;
        let answer = monitored.qmp.ask(&request);
        let container = self.kind.container.expect("what a command makes has an id");
        if let Some((_, text)) = error_of(&answer) {
            assert!(!has_child(monitored, container), "{request}: nothing of it is there");
            if self.is_unknown_to_the_command(&text) {
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

    /// As [`Attempt::command`], by what a person types, where a person has that command.
    pub(crate) fn typed(&self, monitored: &mut Monitored) -> Option<Outcome> {
        let Commands { create, remove, .. } = self.kind.commands.as_ref()?;
        let container = self.kind.container.expect("what a command makes has an id");
        let known = monitored.qmp.human("help");
        known.lines().find(|line| line.split(' ').next() == Some(create))?;
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
    pub(crate) fn warning(&self) -> String {
        let create = self.kind.commands.as_ref().map_or("", |commands| commands.create);
        format!(": warning: {create} {},{}={ID}: ", self.name(), self.kind.id_key)
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

/// Everything that can be created: each type as each kind that it is of, and each value of it that
/// is declared insecure.
pub(crate) fn attempts(registry: &Registry) -> Vec<Attempt<'_>> {
    let mut all = Vec::new();
    for kind in &KINDS {
        for type_name in registry.concrete().filter(|name| registry.is_creatable(name, kind.class))
        {
            let required = (kind.required)(registry, type_name);
            for InsecureValue { property, value, .. } in registry.insecure_values(type_name) {
                let mut properties = required.clone();
                properties.insert(property.clone(), value);
                all.push(Attempt { kind, type_name, properties, insecure: Some(property) });
            }
            all.push(Attempt { kind, type_name, properties: required, insecure: None });
        }
    }
    // A guess of what is in an image of nothing has one answer.
    let is_guess = |attempt: &Attempt<'_>| attempt.kind.option.0 == "drive";
    all.retain(|attempt| {
        attempt.insecure.is_none() || !is_guess(attempt) || attempt.type_name == "blockdev-raw"
    });
    all
}
