//! What users say of a type of character devices otherwise than by its properties: class data.

use qom_core::{Given, PlanError};

/// How users give the properties of a type of character devices, where it is not by their names:
/// class data of the type. A type that has none is given by its properties alone.
///
/// ```
/// use device_model::chardev::{ChardevClass, DataMember, MemberValue};
///
/// /// `{"type": "tape", "data": {"reel": "/dev/st0"}}`
/// static TAPE: ChardevClass = ChardevClass {
///     members: &[DataMember { name: "reel", required: true, value: MemberValue::Of("path") }],
///     ..ChardevClass::PLAIN
/// };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChardevClass {
    /// Members of the `data` of `chardev-add` that are called otherwise than the properties that
    /// they stand for, or are made of several. What no such member stands for is a member under its
    /// own name.
    pub members: &'static [DataMember],
    /// Completes and checks what a command gives, where it is another than what an option does.
    pub complete: Option<Complete>,
}

/// Completes the properties that a client of a monitor gives for a VM that exists.
///
/// # Errors
/// If they contradict themselves, or a VM that exists can't have such a stream.
pub type Complete = fn(&mut Vec<(String, Given)>) -> Result<(), PlanError>;

impl ChardevClass {
    /// A type that is given by its properties alone.
    pub const PLAIN: Self = Self { members: &[], complete: None };
}

/// A member of what a command gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataMember {
    /// What it is called.
    pub name: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// What its value is.
    pub value: MemberValue,
}

impl DataMember {
    /// A member that is the value of a property and may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, property: &'static str) -> Self {
        Self { name, required: false, value: MemberValue::Of(property) }
    }
}

/// What the value of a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberValue {
    /// That of the property of this name.
    Of(&'static str),
    /// A string, which is read as text for the property of this name: a port, which is a number.
    TextOf(&'static str),
    /// `{"type": NAME, "data": {…}}`: one of these.
    OneOf(&'static [DataCase]),
}

/// One of several things that a member can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataCase {
    /// The word for it.
    pub name: &'static str,
    /// What its data have.
    pub members: &'static [DataMember],
}
