//! The types of what clients send and hear, as far as the protocol tells them apart.

use qom_core::Features;
use serde_json::{Map, Value};

/// The index of a type among those that it refers to and is referred to by.
pub(super) type TypeId = usize;

/// Types that refer to each other.
#[derive(Debug, Default)]
pub(in crate::monitor) struct Types {
    pub(super) list: Vec<Type>,
}

impl Types {
    /// The type of that index. What isn't there says nothing about a value.
    pub(super) fn get(&self, id: TypeId) -> &Type {
        self.list.get(id).unwrap_or(&Type::Any)
    }

    /// Whether an object type names a member.
    pub(super) fn knows(&self, object: &Object, name: &str, given: &Map<String, Value>) -> bool {
        object.members.iter().any(|member| member.name == name)
            || object.variants.as_ref().is_some_and(|variants| variants.tag == name)
            || self.case(object, given).is_some_and(|case| self.knows(case, name, given))
    }

    /// The type of members that aren't named, if there may be such.
    pub(super) fn others(&self, object: &Object, given: &Map<String, Value>) -> Option<TypeId> {
        object.others.or_else(|| self.others(self.case(object, given)?, given))
    }

    /// What an object has besides, given the value of its tag.
    pub(super) fn case<'t>(
        &'t self,
        object: &Object,
        given: &Map<String, Value>,
    ) -> Option<&'t Object> {
        let variants = object.variants.as_ref()?;
        let case = variants.case(given.get(&variants.tag)?.as_str()?)?;
        match self.get(case) {
            Type::Object(case) => Some(case),
            _ => None,
        }
    }

    /// The option of an alternate that a value is of, by its kind.
    pub(super) fn option(&self, alternate: &Alternate, value: &Value) -> Option<TypeId> {
        let of = |kind| {
            let mut options = alternate.options.iter().copied();
            options.find(|&option| self.get(option).kind() == Some(kind))
        };
        match value {
            Value::Null => of(Kind::Null),
            Value::Bool(_) => of(Kind::Bool),
            Value::Number(_) if whole(value).is_some() => {
                of(Kind::Integer).or_else(|| of(Kind::Number))
            }
            Value::Number(_) => of(Kind::Number),
            Value::String(_) => of(Kind::String),
            Value::Array(_) => of(Kind::Array),
            Value::Object(_) => of(Kind::Object),
        }
    }
}

/// A whole number that is written as one.
pub(super) fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

/// A type.
#[derive(Clone, Debug)]
pub(super) enum Type {
    /// Whatever; also what the protocol has no words for, which serde alone checks.
    Any,
    Null,
    Bool,
    Str,
    Number,
    Int(Integers),
    Array(TypeId),
    Enum(Enum),
    Object(Object),
    Alternate(Alternate),
}

/// Whole numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Integers {
    pub(super) minimum: i128,
    pub(super) maximum: i128,
    /// What clients are told that they are.
    pub(super) name: String,
}

/// One of several words.
#[derive(Clone, Debug)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) values: Vec<EnumValue>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EnumValue {
    pub(super) name: String,
    pub(super) features: Features,
}

/// Named members.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
    /// The type of members of other names; none if there mustn't be any.
    pub(super) others: Option<TypeId>,
    pub(super) variants: Option<Variants>,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) type_id: TypeId,
    pub(super) optional: bool,
    pub(super) features: Features,
}

/// What further members an object has, by the value of one.
#[derive(Clone, Debug)]
pub(super) struct Variants {
    pub(super) tag: String,
    /// The type of the tag's values.
    pub(super) tag_type: TypeId,
    /// Each value and the object type of the further members.
    pub(super) cases: Vec<(String, TypeId)>,
}

impl Variants {
    /// The type of the further members for that value of the tag.
    pub(super) fn case(&self, value: &str) -> Option<TypeId> {
        self.cases.iter().find(|(case, _)| case == value).map(|(_, type_id)| *type_id)
    }
}

/// One of several types, which are told apart by the kind of the value.
#[derive(Clone, Debug)]
pub(super) struct Alternate {
    pub(super) name: String,
    pub(super) options: Vec<TypeId>,
}

/// The kinds of values that JSON tells apart, and whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    /// Of which kind its values are, if of one.
    pub(super) const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Any | Self::Alternate(_) => None,
            Self::Null => Some(Kind::Null),
            Self::Bool => Some(Kind::Bool),
            Self::Str | Self::Enum(_) => Some(Kind::String),
            Self::Number => Some(Kind::Number),
            Self::Int(_) => Some(Kind::Integer),
            Self::Array(_) => Some(Kind::Array),
            Self::Object(_) => Some(Kind::Object),
        }
    }
}

impl Kind {
    /// What clients are told that it is.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
