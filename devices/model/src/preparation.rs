//! What an object needs of others, in the network or on the host, before it can take up its work:
//! names resolved, connections made.
//!
//! Others may take long to answer, or never do. While a tree changes, every other change of it waits.
//! So whoever creates an object in a VM that runs has it prepared before the tree is asked to change:
//! its class has a [`Preparation`], which goes by the configuration that is planned, and the object
//! [`Prepares`] for what comes of that. An object that was not prepared does by itself what is needed.

use std::{any::Any, collections::BTreeMap, fmt};

use parking_lot::Mutex;
use qom_core::{BoxedError, Configuration, CreateError, Plan, qom_interface};

/// What was prepared for an object. If it does not come to be, this is dropped.
pub type Prepared = Box<dyn Any + Send>;

/// How objects of a class are prepared, if there is anything to do for one that is to be so
/// configured: class data. It holds no lock, and ends within a time.
#[derive(Clone, Copy, Debug)]
pub struct Preparation(pub fn(&Configuration<'_>) -> Result<Option<Prepared>, BoxedError>);

/// What takes what was prepared for it, before it takes up its work
#[qom_interface]
pub trait Prepares {
    /// Takes it. What is none of its own is dropped.
    fn accept(&self, prepared: Prepared);
}

/// Where an object keeps what was prepared for it, until it takes up its work.
pub struct PreparedSlot<T>(Mutex<Option<T>>);

impl<T: Any> PreparedSlot<T> {
    /// See [`Prepares::accept`].
    pub fn accept(&self, prepared: Prepared) {
        if let Ok(prepared) = prepared.downcast() {
            *self.0.lock() = Some(*prepared);
        }
    }

    /// What was prepared, once.
    pub fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}

impl<T> Default for PreparedSlot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for PreparedSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedSlot").finish_non_exhaustive()
    }
}

/// Prepares all objects of a plan that can be. What was prepared, by the paths of the objects.
///
/// # Errors
/// If one of them can't be; as if it had not taken up its work.
pub fn prepare(plan: &Plan) -> Result<BTreeMap<String, Prepared>, CreateError> {
    let mut prepared = BTreeMap::new();
    for (position, planned) in plan.objects().iter().enumerate() {
        let Some(Preparation(prepare)) = planned.class().data::<Preparation>() else { continue };
        let Some(configuration) = plan.configuration(position) else { continue };
        let (path, origin) = (planned.path().to_owned(), planned.origin().clone());
        match prepare(&configuration) {
            Ok(Some(done)) => drop(prepared.insert(path, done)),
            Ok(None) => {}
            Err(error) => return Err(CreateError::Complete { origin, path, error }),
        }
    }
    Ok(prepared)
}
