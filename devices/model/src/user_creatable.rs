//! Objects that users create by themselves, for others to link to.

use qom_core::{BoxedError, Obj, qom_interface};

use crate::platform::Platform;

/// What users may create with `-object`, rather than only boards and other options
///
/// Deletion needs no word of it: what something links to stays.
#[qom_interface]
pub trait UserCreatable {
    /// Takes up its work, once its properties are set; `object` is its own handle.
    ///
    /// # Errors
    /// If it can't. Then nothing of it is left.
    fn complete(&self, _object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Gives back what [`UserCreatable::complete`] took.
    fn undo(&self) {}
}
