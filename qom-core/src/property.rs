//! What is known of a property: its type, default, limits, and what was said of its values.

use std::{
    any::{Any, type_name},
    fmt,
};

use serde_json::Value;

use crate::{
    Configuration, PlanError, Size,
    value::{Given, IntegerProperty, PropertyType, ValueError, ValueType},
};

/// One property, as declared with `#[property(…)]`.
pub struct PropertyInfo {
    /// Name, in kebab-case; unique in a class and all its ancestors.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// The type of its values.
    pub value_type: fn() -> ValueType,
    /// The value that holds if nobody gives one; none if one must be given, and for computed
    /// properties.
    pub default: Option<fn() -> Value>,
    /// Whether creation fails unless a value is given.
    pub required: bool,
    /// Least and greatest integer that it accepts.
    pub range: Option<(i128, i128)>,
    /// When it can be written.
    pub access: Access,
    /// Where an instance keeps it.
    pub storage: Storage,
    /// Name of the class that a link must point to; none for a plain value.
    pub link: Option<&'static str>,
    /// What was said of the security of its values.
    pub insecure: &'static [InsecureStatement],
    /// What to use instead, if it is deprecated.
    pub deprecated: Option<&'static str>,
    /// Whether it may still change or go without notice.
    pub unstable: bool,
    /// Checks a value that somebody gave and brings it into its canonical form.
    pub check: fn(&Given) -> Result<Value, ValueError>,
}

/// When a property can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// At creation only.
    Creation,
    /// At creation and on the living object.
    Live,
    /// Never: it is computed from the object's state.
    Computed,
}

/// Where an instance keeps a property.
#[derive(Clone, Copy)]
pub enum Storage {
    /// In a field of the struct; reached through these.
    Field {
        /// Reads the field of an object of the declaring type.
        get: fn(&dyn Any) -> Option<Value>,
        /// Writes it, for a live property.
        set: Option<WriteField>,
    },
    /// Beside the struct: a class declared it for all its descendants.
    Class,
}

/// Writes the field of a live property of an object of the declaring type.
pub type WriteField = fn(&dyn Any, &Value) -> Result<(), ValueError>;

/// That some values of a property are insecure.
pub struct InsecureStatement {
    /// Which.
    pub condition: InsecureCondition,
    /// Why, in words for the user.
    pub reason: &'static str,
}

/// Which values of a property are insecure.
#[derive(Clone, Copy)]
pub enum InsecureCondition {
    /// Every value other than the default.
    NotDefault,
    /// These.
    Values(fn() -> Vec<Value>),
    /// Those for which a function says so that sees the whole effective configuration. If it fails,
    /// so does the creation: nothing is secure because it could not be judged.
    When(fn(&Configuration<'_>) -> Result<bool, PlanError>),
}

impl PropertyInfo {
    /// Checks a value against type and range and brings it into its canonical form.
    ///
    /// # Errors
    /// If the value is of another type, malformed, or out of range.
    pub fn parse(&self, given: &Given) -> Result<Value, ValueError> {
        let value = (self.check)(given)?;
        if let (Some((least, greatest)), Some(number)) = (self.range, integer(&value))
            && !(least..=greatest).contains(&number)
        {
            return Err(ValueError::OutOfRange { given: given.to_string(), least, greatest });
        }
        Ok(value)
    }

    /// The default in canonical form; `null` where there is none.
    #[must_use]
    pub fn default_value(&self) -> Value {
        self.default.map_or(Value::Null, |default| default())
    }

    /// The QOM name of its type: `uint16`, `str`, `link<chardev>`, an enumeration's name.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self.link {
            Some(class) => format!("link<{class}>"),
            None => (self.value_type)().name.into_owned(),
        }
    }
}

/// The `check` of every property of type `T`.
#[doc(hidden)]
pub fn check<T: PropertyType>(given: &Given) -> Result<Value, ValueError> {
    T::from_given(given).map(|value| value.to_json())
}

/// The `range` of a property of type `T`. An empty one is a mistake when the program is compiled.
#[doc(hidden)]
#[must_use]
pub const fn range<T: IntegerProperty>(least: i128, greatest: i128) -> (i128, i128) {
    assert!(least <= greatest, "no value is in this range: its least value comes first");
    (least, greatest)
}

/// One end of a range that is a constant: of the type of the property or of any integer type.
#[doc(hidden)]
#[derive(Debug)]
pub struct RangeEnd<T>(pub T);

macro_rules! range_end {
    ($($integer:ty)*) => {$(
        impl RangeEnd<$integer> {
            /// The number.
            #[must_use]
            pub const fn number(self) -> i128 {
                self.0 as i128
            }
        }
    )*};
}

range_end!(u8 u16 u32 u64 usize i8 i16 i32 i64 i128 isize);

impl RangeEnd<Size> {
    /// The number of bytes.
    #[must_use]
    pub const fn number(self) -> i128 {
        self.0.0 as i128
    }
}

/// The object as a `T`, for the `set` of a live property. The tree calls that for objects of the
/// declaring type only.
#[doc(hidden)]
pub fn downcast<T: Any>(object: &dyn Any) -> Result<&T, ValueError> {
    object.downcast_ref().ok_or_else(|| {
        ValueError::Refused(format!("the object is not of type {}", type_name::<T>()))
    })
}

fn integer(value: &Value) -> Option<i128> {
    value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from))
}

impl fmt::Debug for PropertyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropertyInfo")
            .field("name", &self.name)
            .field("type", &self.type_name())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Field { .. } => "Field",
            Self::Class => "Class",
        })
    }
}

impl fmt::Debug for InsecureCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDefault => f.write_str("NotDefault"),
            Self::Values(values) => f.debug_tuple("Values").field(&values()).finish(),
            Self::When(_) => f.write_str("When"),
        }
    }
}

impl fmt::Debug for InsecureStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsecureStatement")
            .field("condition", &self.condition)
            .field("reason", &self.reason)
            .finish()
    }
}
