//! The forms in which an option can ask for something.

use serde_json::Value;
use tests::Scratch;

use crate::{
    kinds::STILL,
    ways::{Attempt, ID},
};

/// The forms of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `-device TYPE,key=value`.
    Pairs,
    /// `-device {"driver": TYPE}`.
    Json,
    /// `-readconfig FILE`.
    File,
    /// As pairs, but for the insecure value, which is given by `-global`.
    Global,
    /// `-kernel WORD`: the type follows from what the word leads to, or there is only one.
    Word(&'static str),
    /// `-machine KEY=NAME`, or `-machine KEY=given` if the option has a word.
    OfMachine(&'static str),
    /// `-machine KEY=TYPE`, with the whole name of the type.
    TypeOfMachine(&'static str),
    /// As pairs, and something that uses it.
    Used(Use),
}

/// What a stream can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Serial,
    Qmp,
    QmpPretty,
    Mon,
}

impl Use {
    fn arguments(self) -> [String; 2] {
        let (option, value) = match self {
            Self::Serial => ("-serial", format!("chardev:{ID}")),
            Self::Qmp => ("-qmp", format!("chardev:{ID}")),
            Self::QmpPretty => ("-qmp-pretty", format!("chardev:{ID}")),
            Self::Mon => ("-mon", format!("{ID},mode=control")),
        };
        [option.to_owned(), value]
    }
}

/// The property that says that a drive's format was not given, and so was guessed.
const GUESSED: &str = "probed";

impl Attempt<'_> {
    /// The forms in which it can be asked for beside `rest`.
    pub(crate) fn forms(&self, rest: &'static str) -> impl Iterator<Item = Form> {
        self.kind.forms.iter().copied().filter(move |form| match form {
            // There is one to be given.
            Form::Global => self.insecure.is_some(),
            // A machine without a guest has no serial port.
            Form::Used(Use::Serial) => rest == STILL,
            _ => true,
        })
    }

    /// The keys of its option and their values, that of the type and the id first.
    fn keys(&self) -> Vec<(&str, Value)> {
        let is_guessed = self.kind.option.0 == "drive" && self.insecure.as_deref() == Some(GUESSED);
        let mut keys = Vec::new();
        if !is_guessed {
            keys.push((self.kind.option.1, Value::from(self.name())));
        }
        if self.has_id() {
            keys.push((self.kind.id_key, ID.into()));
        }
        let given = self.properties.iter().filter(|(key, _)| !is_guessed || *key != GUESSED);
        keys.extend(given.map(|(key, value)| (&**key, value.clone())));
        keys
    }

    /// As a person writes it behind the option, but for a property.
    fn pairs_without(&self, left_out: Option<&str>) -> String {
        let mut parts = Vec::new();
        for (key, value) in self.keys().into_iter().filter(|(key, _)| Some(*key) != left_out) {
            match value {
                Value::Object(members) => {
                    let members = members.iter();
                    parts.extend(
                        members.map(|(below, value)| format!("{key}.{below}={}", word(value))),
                    );
                }
                value if self.kind.implied && key == self.kind.option.1 => parts.push(word(&value)),
                value => parts.push(format!("{key}={}", word(&value))),
            }
        }
        parts.join(",")
    }

    /// As a person writes it behind the option.
    pub(crate) fn pairs(&self) -> String {
        self.pairs_without(None)
    }

    /// The arguments that ask for it.
    pub(crate) fn arguments(&self, form: Form, scratch: &Scratch) -> Vec<String> {
        (self.kind.files)(self.type_name, scratch);
        let option = self.kind.option.0;
        let in_pairs = |text: String| vec![format!("-{option}"), text];
        match form {
            Form::Pairs => in_pairs(self.pairs()),
            Form::Json => {
                let all = self.keys().into_iter().map(|(key, value)| (key.to_owned(), value));
                in_pairs(Value::Object(all.collect()).to_string())
            }
            Form::File => {
                let id = if self.has_id() { format!(" \"{ID}\"") } else { String::new() };
                let mut text = format!("[{option}{id}]\n");
                for (key, value) in self.keys().iter().filter(|(key, _)| *key != "id") {
                    text += &format!("{key} = \"{}\"\n", word(value));
                }
                let file = scratch.file("vm.conf", text);
                vec!["-readconfig".to_owned(), file.display().to_string()]
            }
            Form::Global => {
                let property = self.insecure.as_deref().expect("there is an insecure value");
                let value = word(&self.properties[property]);
                let global = format!("{}.{property}={value}", self.type_name);
                let own = in_pairs(self.pairs_without(Some(property)));
                own.into_iter().chain(["-global".to_owned(), global]).collect()
            }
            Form::Word(given) => in_pairs(given.to_owned()),
            Form::OfMachine(key) => {
                let has_word = self.kind.forms.contains(&Form::Word("given"));
                let value = if has_word { "given" } else { self.name() };
                vec!["-machine".to_owned(), format!("{key}={value}")]
            }
            Form::TypeOfMachine(key) => {
                vec!["-machine".to_owned(), format!("{key}={}", self.type_name)]
            }
            Form::Used(by) => in_pairs(self.pairs()).into_iter().chain(by.arguments()).collect(),
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_string(),
    }
}
