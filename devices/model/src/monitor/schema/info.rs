//! How the protocol describes itself: the objects of QEMU's `query-qmp-schema`
//! (`qapi/introspect.json`).

use schemars::JsonSchema;
use serde::Serialize;

/// A type, a command or an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaInfo {
    /// Its name. That of a type may differ between versions.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: SchemaInfoKind,
    /// What is special about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SchemaFeature>,
}

/// What a type, a command or an event consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "meta-type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum SchemaInfoKind {
    /// A type of JSON.
    Builtin {
        /// Which.
        json_type: &'static str,
    },
    /// One of several words.
    Enum {
        /// The words, and what is special about each.
        members: Vec<SchemaInfoEnumMember>,
        /// The words alone, which `members` has too.
        #[schemars(extend("deprecated" = true))]
        values: Vec<String>,
    },
    /// A list.
    Array {
        /// The type of all its elements.
        element_type: String,
    },
    /// Named members.
    Object {
        /// Those that it always has.
        members: Vec<SchemaInfoObjectMember>,
        /// The member whose value tells which others there are.
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// What others there are for each of its values.
        #[serde(skip_serializing_if = "Option::is_none")]
        variants: Option<Vec<SchemaInfoVariant>>,
    },
    /// One of several types, told apart by the kind of the JSON value.
    Alternate {
        /// The types.
        members: Vec<SchemaInfoAlternateMember>,
    },
    /// A command.
    Command {
        /// The object type of its arguments.
        arg_type: String,
        /// The type of what it gives.
        ret_type: String,
        /// Whether it may overtake others.
        allow_oob: bool,
    },
    /// An event.
    Event {
        /// The object type of what it tells.
        arg_type: String,
    },
}

/// A word of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaInfoEnumMember {
    /// The word.
    pub name: String,
    /// What is special about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SchemaFeature>,
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaInfoObjectMember {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// There if it may be left out. It is null, as what happens then is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<()>,
    /// What is special about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SchemaFeature>,
}

/// The further members of an object for one value of its tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaInfoVariant {
    /// The value.
    pub case: String,
    /// The object type with the members.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// A type of an alternate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaInfoAlternateMember {
    /// Its name.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// What a client may want to know of before it uses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaFeature {
    /// It will go.
    Deprecated,
    /// It may change or go without notice.
    Unstable,
}
