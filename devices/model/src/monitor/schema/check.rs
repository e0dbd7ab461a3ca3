//! Checks arguments before a command sees them, and says what is wrong with them as QEMU does.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    read::whole,
    types::{Alternate, Enum, Integers, Kind, Object, Type, TypeId, Types},
};
use crate::monitor::CommandError;

/// The types of a command's arguments, once somebody gave some.
#[derive(Debug)]
pub(in crate::monitor) struct Arguments {
    types: Types,
    root: TypeId,
}

impl Arguments {
    /// The types of a schema.
    pub(in crate::monitor) fn of(schema: &schemars::Schema) -> Self {
        let mut types = Types::default();
        let root = types.read(schema);
        Self { types, root }
    }

    /// Checks arguments.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub(in crate::monitor) fn check(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<(), CommandError> {
        match self.types.get(self.root) {
            Type::Object(object) => {
                Check { types: &self.types }.object(object, arguments, &Path::Root)
            }
            _ => Ok(()),
        }
    }
}

/// Where in the arguments a value is.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not by recursion: formatting takes far more stack for a level than checking.
        let mut steps = Vec::new();
        let mut path = self;
        while let Self::Member(parent, _) | Self::Item(parent, _) = path {
            steps.push(path);
            path = parent;
        }
        for (index, step) in steps.iter().rev().enumerate() {
            match step {
                Self::Root => {}
                Self::Member(_, name) if index == 0 => f.write_str(name)?,
                Self::Member(_, name) => write!(f, ".{name}")?,
                Self::Item(_, item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// A check. It goes as deep as the value does, which whoever read it from the client has bounded.
struct Check<'t> {
    types: &'t Types,
}

impl Check<'_> {
    fn value(&self, id: TypeId, value: &Value, path: &Path<'_>) -> Result<(), CommandError> {
        match (self.types.get(id), value) {
            (Type::Any, _)
            | (Type::Null, Value::Null)
            | (Type::Bool, Value::Bool(_))
            | (Type::Str, Value::String(_))
            | (Type::Number, Value::Number(_)) => Ok(()),
            (Type::Int(integers), value) => integer(integers, value, path),
            (Type::Enum(words), Value::String(word)) => enumerated(words, word, path),
            (Type::Array(element), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(*element, item, &Path::Item(path, index))?;
                }
                Ok(())
            }
            (Type::Object(object), Value::Object(members)) => self.object(object, members, path),
            (Type::Alternate(alternate), value) => self.alternate(alternate, value, path),
            (other, _) => Err(invalid_type(path, other.kind().map_or("any value", Kind::word))),
        }
    }

    /// Checks all members of an object.
    fn object(
        &self,
        object: &Object,
        given: &Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<(), CommandError> {
        self.known(object, given, path)?;
        for (name, value) in given {
            if self.knows(object, name, given) {
                continue;
            }
            let path = Path::Member(path, name);
            match self.others(object, given) {
                Some(others) => self.value(others, value, &path)?,
                None => {
                    return Err(CommandError::generic(format!("Parameter '{path}' is unexpected")));
                }
            }
        }
        Ok(())
    }

    /// Checks the members that the type names.
    fn known(
        &self,
        object: &Object,
        given: &Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<(), CommandError> {
        for member in &object.members {
            let path = Path::Member(path, &member.name);
            match given.get(&member.name) {
                Some(value) => self.value(member.type_id, value, &path)?,
                None if member.optional => {}
                None => return Err(missing(&path)),
            }
        }
        let Some(variants) = &object.variants else {
            return Ok(());
        };
        let tag = Path::Member(path, &variants.tag);
        self.value(
            variants.tag_type,
            given.get(&variants.tag).ok_or_else(|| missing(&tag))?,
            &tag,
        )?;
        self.case(object, given).map_or(Ok(()), |case| self.known(case, given, path))
    }

    /// Whether the type names a member.
    fn knows(&self, object: &Object, name: &str, given: &Map<String, Value>) -> bool {
        object.members.iter().any(|member| member.name == name)
            || object.variants.as_ref().is_some_and(|variants| variants.tag == name)
            || self.case(object, given).is_some_and(|case| self.knows(case, name, given))
    }

    /// The type of members that aren't named, if there may be such.
    fn others(&self, object: &Object, given: &Map<String, Value>) -> Option<TypeId> {
        object.others.or_else(|| self.others(self.case(object, given)?, given))
    }

    /// What an object has besides, given the value of its tag.
    fn case(&self, object: &Object, given: &Map<String, Value>) -> Option<&Object> {
        let variants = object.variants.as_ref()?;
        let case = variants.case(given.get(&variants.tag)?.as_str()?)?;
        match self.types.get(case) {
            Type::Object(case) => Some(case),
            _ => None,
        }
    }

    fn alternate(
        &self,
        alternate: &Alternate,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), CommandError> {
        let of = |kind| {
            let mut options = alternate.options.iter().copied();
            options.find(|&option| self.types.get(option).kind() == Some(kind))
        };
        let option = match value {
            Value::Null => of(Kind::Null),
            Value::Bool(_) => of(Kind::Bool),
            Value::Number(_) if whole(value).is_some() => {
                of(Kind::Integer).or_else(|| of(Kind::Number))
            }
            Value::Number(_) => of(Kind::Number),
            Value::String(_) => of(Kind::String),
            Value::Array(_) => of(Kind::Array),
            Value::Object(_) => of(Kind::Object),
        };
        match option {
            Some(option) => self.value(option, value, path),
            None => {
                let options = alternate.options.iter();
                let kinds = options.filter_map(|option| self.types.get(*option).kind());
                let words: Vec<_> = kinds.map(Kind::word).collect();
                Err(invalid_type(path, &words.join(" or ")))
            }
        }
    }
}

fn integer(integers: &Integers, value: &Value, path: &Path<'_>) -> Result<(), CommandError> {
    let Some(number) = whole(value) else {
        return Err(invalid_type(path, "integer"));
    };
    if number < integers.minimum || number > integers.maximum {
        let expected = &integers.name;
        return Err(CommandError::generic(format!("Parameter '{path}' expects {expected}")));
    }
    Ok(())
}

fn enumerated(words: &Enum, word: &str, path: &Path<'_>) -> Result<(), CommandError> {
    if words.values.iter().any(|value| value.name == word) {
        return Ok(());
    }
    Err(CommandError::generic(format!("Parameter '{path}' does not accept value '{word}'")))
}

fn missing(path: &Path<'_>) -> CommandError {
    CommandError::generic(format!("Parameter '{path}' is missing"))
}

fn invalid_type(path: &Path<'_>, expected: &str) -> CommandError {
    CommandError::generic(format!("Invalid parameter type for '{path}', expected: {expected}"))
}
