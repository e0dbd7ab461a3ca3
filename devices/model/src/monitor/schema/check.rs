//! Checks arguments before a command sees them, and says what is wrong with them as QEMU does.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    shape::Shape,
    types::{Alternate, Enum, Integers, Kind, Object, Type, TypeId, Types, whole},
};
use crate::monitor::CommandError;

impl Shape {
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
pub(super) enum Path<'a> {
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
            if self.types.knows(object, name, given) {
                continue;
            }
            let path = Path::Member(path, name);
            match self.types.others(object, given) {
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
        self.types.case(object, given).map_or(Ok(()), |case| self.known(case, given, path))
    }

    fn alternate(
        &self,
        alternate: &Alternate,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), CommandError> {
        match self.types.option(alternate, value) {
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
