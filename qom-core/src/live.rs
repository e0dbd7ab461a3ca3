//! Fields that can change while an object lives, and those that are computed on demand.

use std::marker::PhantomData;

use parking_lot::RwLock;

use crate::PropertyType;

/// A property that can be written on the living object.
#[derive(Debug, Default)]
pub struct Live<T>(RwLock<T>);

impl<T: Clone> Live<T> {
    /// Starts with `value`.
    pub const fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// The value of this moment.
    pub fn get(&self) -> T {
        self.0.read().clone()
    }

    /// Replaces the value. The object itself may do so at any time; what a user writes comes in
    /// through the tree, which judges it first.
    pub fn set(&self, value: T) {
        *self.0.write() = value;
    }
}

/// The field type of a `live` property; only [`Live`] is one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a live property's field is a `Live<_>`, and `{Self}` is not",
    label = "write `Live<{Self}>`, or leave out `live`"
)]
pub trait LiveField {
    /// The type of the values.
    type Value: PropertyType;

    fn create(value: Self::Value) -> Self;
    fn read(&self) -> Self::Value;
    fn write(&self, value: Self::Value);
}

impl<T: PropertyType> LiveField for Live<T> {
    type Value = T;

    fn create(value: T) -> Self {
        Self::new(value)
    }

    fn read(&self) -> T {
        self.get()
    }

    fn write(&self, value: T) {
        self.set(value);
    }
}

/// A property that has no place of its own: a method computes it from the object's state.
#[derive(Clone, Copy, Debug)]
pub struct Computed<T>(PhantomData<fn() -> T>);

impl<T> Default for Computed<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The field type of a computed property; only [`Computed`] is one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a computed property's field is a `Computed<_>`, and `{Self}` is not",
    label = "write `Computed<{Self}>`, or leave out `get`"
)]
pub trait ComputedField: Default {
    /// The type of the values.
    type Value: PropertyType;
}

impl<T: PropertyType> ComputedField for Computed<T> {
    type Value = T;
}
