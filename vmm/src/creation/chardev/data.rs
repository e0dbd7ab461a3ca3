//! From the `data` that a command gives of a character device to properties: as its type says
//! ([`ChardevClass`]), and by the names of its properties where it says nothing.

use device_model::{
    chardev::{ChardevClass, DataMember, MemberValue},
    qom_core::{Access, Class, Given, PlanError, PropertyInfo, Registry, Value},
};
use serde_json::Map;
use thiserror::Error;

use crate::creation::object;

/// What is wrong with the `data` of a character device.
#[derive(Debug, Error)]
pub enum DataError {
    /// A member that the type does not take.
    #[error("Parameter '{0}' is unexpected")]
    Unexpected(String),
    /// A member that there has to be.
    #[error("Parameter '{0}' is missing")]
    Missing(String),
    /// A value of another kind than the member takes.
    #[error("Invalid parameter type for '{path}', expected: {expected}")]
    Kind {
        /// Where it stands.
        path: String,
        /// What is taken there.
        expected: &'static str,
    },
    /// None of the things that a member can be.
    #[error("Parameter '{path}' does not accept value '{given}'")]
    Case {
        /// Where it stands.
        path: String,
        /// What was given.
        given: String,
    },
    /// The type's own word.
    #[error(transparent)]
    Type(#[from] PlanError),
}

/// The members that the `data` of a type can have: those that it declares, and the properties that
/// none of them stands for.
pub fn members(class: &Class) -> Vec<DataMember> {
    let declared = class.data::<ChardevClass>().map_or(&[] as &[_], |data| data.members);
    let own = class.properties().map(|(info, _)| info).filter(|info| {
        info.access != Access::Computed
            && !stand_for(declared, info.name)
            && !declared.iter().any(|member| member.name == info.name)
    });
    let own = own.map(|info| DataMember {
        name: info.name,
        required: info.required,
        value: MemberValue::Of(info.name),
    });
    declared.iter().copied().chain(own).collect()
}

/// Whether one of the members is the value of a property, or has a part that is.
fn stand_for(members: &[DataMember], property: &str) -> bool {
    members.iter().any(|member| match member.value {
        MemberValue::Of(name) | MemberValue::TextOf(name) => name == property,
        MemberValue::OneOf(cases) => cases.iter().any(|case| stand_for(case.members, property)),
    })
}

/// The properties that the `data` of a type stand for, as a command gives them. `place` is where they
/// stand in its arguments.
///
/// # Errors
/// If the type does not take them, or they contradict each other.
pub fn properties(
    registry: &Registry,
    class: &Class,
    place: &str,
    data: Map<String, Value>,
) -> Result<Vec<(String, Given)>, DataError> {
    let mut given = Vec::new();
    Reader { registry, class, given: &mut given }.members(&members(class), place, data)?;
    if let Some(complete) = class.data::<ChardevClass>().and_then(|data| data.complete) {
        complete(&mut given)?;
    }
    Ok(given)
}

struct Reader<'a> {
    registry: &'a Registry,
    class: &'a Class,
    given: &'a mut Vec<(String, Given)>,
}

impl Reader<'_> {
    /// It goes as deep as the type's declaration does.
    fn members(
        &mut self,
        members: &[DataMember],
        place: &str,
        mut data: Map<String, Value>,
    ) -> Result<(), DataError> {
        for member in members {
            let path = format!("{place}.{}", member.name);
            match data.remove(member.name) {
                Some(value) => self.member(member, path, value)?,
                None if member.required => return Err(DataError::Missing(path)),
                None => {}
            }
        }
        match data.keys().next() {
            Some(name) => Err(DataError::Unexpected(format!("{place}.{name}"))),
            None => Ok(()),
        }
    }

    fn member(&mut self, member: &DataMember, path: String, value: Value) -> Result<(), DataError> {
        match (member.value, value) {
            (MemberValue::Of(property), value) => {
                let value = self.value(property, value);
                self.given.push((property.to_owned(), value));
            }
            (MemberValue::TextOf(property), Value::String(text)) => {
                self.given.push((property.to_owned(), Given::Text(text)));
            }
            (MemberValue::OneOf(cases), Value::Object(mut union)) => {
                let (kind, data) = (union.remove("type"), union.remove("data"));
                if let Some(name) = union.keys().next() {
                    return Err(DataError::Unexpected(format!("{path}.{name}")));
                }
                let kind_path = format!("{path}.type");
                let kind = match kind {
                    Some(Value::String(kind)) => kind,
                    Some(_) => return Err(DataError::Kind { path: kind_path, expected: "string" }),
                    None => return Err(DataError::Missing(kind_path)),
                };
                let Some(case) = cases.iter().find(|case| case.name == kind) else {
                    return Err(DataError::Case { path: kind_path, given: kind });
                };
                let data_path = format!("{path}.data");
                match data {
                    Some(Value::Object(data)) => self.members(case.members, &data_path, data)?,
                    Some(_) => {
                        return Err(DataError::Kind { path: data_path, expected: "object" });
                    }
                    None => return Err(DataError::Missing(data_path)),
                }
            }
            (MemberValue::TextOf(_), _) => {
                return Err(DataError::Kind { path, expected: "string" });
            }
            (MemberValue::OneOf(_), _) => return Err(DataError::Kind { path, expected: "object" }),
        }
        Ok(())
    }

    /// A value for a property. Objects that users create are known to them by their ids.
    fn value(&self, property: &str, value: Value) -> Given {
        let info = self.class.property(property).map(|(info, _)| info);
        match (info, &value) {
            (Some(info), Value::String(id))
                if !id.is_empty() && !id.contains('/') && self.links_to_object(info) =>
            {
                Given::Json(Value::from(format!("{}/{id}", object::OBJECTS)))
            }
            _ => Given::Json(value),
        }
    }

    /// Whether a property links to objects that users create by themselves.
    fn links_to_object(&self, info: &PropertyInfo) -> bool {
        info.link.is_some_and(|linked| {
            object::all_creatable(self.registry).any(|class| class.is_a(linked))
        })
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
