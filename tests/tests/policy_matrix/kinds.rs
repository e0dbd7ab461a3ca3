//! The kinds of things that can be created, and what users say to have one.

use serde_json::{Map, Value, json};
use tests::Scratch;

use crate::{
    forms::{Form, Use},
    registry::Registry,
};

/// Something that can be created by an option or a command.
pub(crate) struct Kind {
    /// Class or interface of its types.
    pub(crate) class: &'static str,
    /// What users leave out of the names of its types: an end, or a beginning.
    pub(crate) affix: &'static str,
    /// The option, and the key of the type.
    pub(crate) option: (&'static str, &'static str),
    /// Whether that key can be left out.
    pub(crate) implied: bool,
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
    /// What has to be said of one of a type.
    pub(crate) required: fn(&Registry, &str) -> Map<String, Value>,
    /// Makes the files that are named, for one of a type.
    pub(crate) files: fn(&str, &Scratch),
    /// Whether the matrix brings a type of each status.
    pub(crate) is_complete: bool,
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
/// A machine on which processors stand still, with a kernel in the file that is named.
const WITH_KERNEL: &str = "-machine microvm -accel secure -m 16M -kernel kernel";
/// A machine whose devices a test drives.
const DRIVEN: &str = "-machine none -accel qtest";
/// A machine with a stream that leads nowhere.
const WITH_STREAM: &str = "-machine none -chardev null,id=stream";

fn inline(type_key: &str, name: &str, id: &str, mut properties: Map<String, Value>) -> Value {
    properties.insert(type_key.to_owned(), name.into());
    properties.insert("id".to_owned(), id.into());
    Value::Object(properties)
}

fn nothing(_: &Registry, _: &str) -> Map<String, Value> {
    Map::new()
}

/// A file whose contents say which loader it is for.
fn kernel(type_name: &str, scratch: &Scratch) {
    scratch.file("given", type_name);
}

/// A file that firmware could be, or a disk.
fn image(_: &str, scratch: &Scratch) {
    scratch.file("given", [0; 64 << 10]);
}

/// A file, and the kernel that it is for.
fn beside_kernel(type_name: &str, scratch: &Scratch) {
    image(type_name, scratch);
    scratch.file("kernel", "secure-loader");
}

/// The forms of an option that has a section in configuration files too.
const ALL_FORMS: &[Form] = &[Form::Pairs, Form::Json, Form::File, Form::Global];

/// What most have in common.
const ANY: Kind = Kind {
    class: "",
    affix: "",
    option: ("", ""),
    implied: true,
    container: None,
    rest: &[STILL, NONE],
    asked_as: None,
    commands: None,
    forms: ALL_FORMS,
    id_key: "id",
    required: Registry::required,
    files: |_, _| {},
    is_complete: true,
};

/// All of them.
pub(crate) static KINDS: [Kind; 14] = [
    Kind {
        class: "machine",
        affix: "-machine",
        option: ("machine", "type"),
        rest: &[""],
        asked_as: Some("machine"),
        ..ANY
    },
    Kind {
        class: "accelerator",
        affix: "-accel",
        option: ("accel", "accel"),
        rest: &[NONE],
        asked_as: Some("accel"),
        forms: &[Form::Pairs, Form::Json, Form::File, Form::OfMachine("accel")],
        ..ANY
    },
    Kind {
        class: "cpu",
        affix: "-x86_64-cpu",
        option: ("cpu", ""),
        rest: &[STILL, NONE],
        forms: &[Form::Pairs, Form::TypeOfMachine("cpu-type")],
        ..ANY
    },
    Kind {
        class: "device",
        option: ("device", "driver"),
        container: Some("/machine/peripheral"),
        asked_as: Some("device"),
        commands: Some(Commands {
            create: "device_add",
            arguments: |name, id, properties| inline("driver", name, id, properties),
            remove: "device_del",
        }),
        ..ANY
    },
    Kind {
        class: "user-creatable",
        option: ("object", "qom-type"),
        container: Some("/objects"),
        asked_as: Some("object"),
        commands: Some(Commands {
            create: "object-add",
            arguments: |name, id, properties| inline("qom-type", name, id, properties),
            remove: "object-del",
        }),
        ..ANY
    },
    Kind {
        class: "chardev",
        affix: "chardev-",
        option: ("chardev", "backend"),
        container: Some("/chardevs"),
        asked_as: Some("chardev"),
        commands: Some(Commands {
            create: "chardev-add",
            arguments: |name, id, properties| json!({ "id": id, "backend": { "type": name, "data": properties } }),
            remove: "chardev-remove",
        }),
        forms: &[
            Form::Pairs,
            Form::Json,
            Form::File,
            Form::Global,
            Form::Used(Use::Serial),
            Form::Used(Use::Qmp),
            Form::Used(Use::QmpPretty),
            Form::Used(Use::Mon),
        ],
        ..ANY
    },
    Kind {
        class: "blockdev",
        affix: "blockdev-",
        option: ("blockdev", "driver"),
        container: Some("/blockdevs"),
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
        ..ANY
    },
    Kind {
        class: "blockdev-format",
        affix: "blockdev-",
        option: ("drive", "format"),
        implied: false,
        container: Some("/blockdevs"),
        forms: &[Form::Pairs, Form::File],
        required: |_, _| Map::from_iter([("if", "none"), ("file", "given")].map(text)),
        files: image,
        ..ANY
    },
    Kind {
        class: "netdev",
        affix: "netdev-",
        option: ("netdev", "type"),
        container: Some("/netdevs"),
        asked_as: Some("netdev"),
        commands: Some(Commands {
            create: "netdev_add",
            arguments: |name, id, properties| inline("type", name, id, properties),
            remove: "netdev_del",
        }),
        ..ANY
    },
    Kind {
        class: "kernel-loader",
        option: ("kernel", ""),
        rest: &[STILL],
        forms: &[Form::Word("given"), Form::OfMachine("kernel")],
        required: nothing,
        files: kernel,
        ..ANY
    },
    // Of these there is one type, which is made for the option.
    Kind {
        class: "initrd-loader",
        option: ("initrd", ""),
        rest: &[WITH_KERNEL],
        forms: &[Form::Word("given"), Form::OfMachine("initrd")],
        required: nothing,
        files: beside_kernel,
        is_complete: false,
        ..ANY
    },
    Kind {
        class: "firmware-loader",
        option: ("bios", ""),
        rest: &[STILL],
        forms: &[Form::Word("given"), Form::OfMachine("bios")],
        required: nothing,
        files: image,
        is_complete: false,
        ..ANY
    },
    Kind {
        class: "monitor-qmp",
        option: ("mon", "mode"),
        implied: false,
        container: Some("/monitors"),
        rest: &[WITH_STREAM],
        forms: &[Form::Pairs, Form::File],
        required: |_, _| Map::from_iter([("chardev", "stream")].map(text)),
        is_complete: false,
        ..ANY
    },
    Kind {
        class: "qtest",
        option: ("qtest", ""),
        rest: &[DRIVEN],
        forms: &[Form::Word("null")],
        required: nothing,
        is_complete: false,
        ..ANY
    },
];

fn text((key, word): (&str, &str)) -> (String, Value) {
    (key.to_owned(), word.into())
}

/// What users call a type of a kind.
pub(crate) fn short<'a>(kind: &Kind, type_name: &'a str) -> &'a str {
    match (kind.option.0, type_name) {
        // It is called by what it is for.
        ("mon", "monitor-qmp") => "control",
        _ => {
            let end = type_name.strip_suffix(kind.affix).filter(|_| kind.affix.starts_with('-'));
            end.or_else(|| type_name.strip_prefix(kind.affix)).unwrap_or(type_name)
        }
    }
}
