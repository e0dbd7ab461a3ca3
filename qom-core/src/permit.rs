//! Permits: the right to construct one object of one type for one tree.

use std::{
    any::{TypeId, type_name},
    sync::atomic::{AtomicU64, Ordering},
};

use thiserror::Error;

use crate::{
    Object,
    class::Class,
    instance::{Construction, Instance},
};

/// The identity of an object tree. Two trees never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeId(u64);

impl TreeId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The right to construct one object: of the type it was minted for, for the tree whose policy
/// minted it, once.
///
/// It can't be made outside this crate,
///
/// ```compile_fail,E0451
/// use qom_core::Permit;
///
/// fn forge(like: &Permit) -> Permit {
///     Permit { tree: todo!(), type_id: todo!(), type_name: "exit" }
/// }
/// ```
///
/// nor used twice, since construction consumes it,
///
/// ```compile_fail,E0382
/// use qom_core::{CreateError, Obj, Permit, Request, Tree};
///
/// fn twice(tree: &Tree, permit: Permit) -> Result<Obj, CreateError> {
///     tree.create_permitted(permit, Request::new("container", "/objects", "a"))?;
///     tree.create_permitted(permit, Request::new("container", "/objects", "b"))
/// }
/// ```
///
/// nor copied.
///
/// ```compile_fail,E0599
/// fn copy(permit: &qom_core::Permit) -> qom_core::Permit {
///     permit.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    tree: TreeId,
    type_id: TypeId,
    type_name: &'static str,
}

/// A permit was used for something else than it was minted for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PermitError {
    /// For another type.
    #[error("a permit for type '{permitted}' can't construct '{requested}'")]
    Type {
        /// The type that the permit is for.
        permitted: &'static str,
        /// The type that was to be constructed.
        requested: &'static str,
    },
    /// For another tree.
    #[error("a permit for type '{permitted}' was minted for another object tree")]
    Tree {
        /// The type that the permit is for.
        permitted: &'static str,
    },
}

impl Permit {
    pub(crate) const fn new(tree: TreeId, type_id: TypeId, type_name: &'static str) -> Self {
        Self { tree, type_id, type_name }
    }

    /// Name of the type that it is for.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Checks that it is for an object of that class and tree. By name too, since one Rust type
    /// can stand behind several names, whose authors say different things of them.
    pub(crate) fn check(&self, tree: TreeId, class: &Class) -> Result<(), PermitError> {
        let permitted = self.type_name;
        if self.tree != tree {
            return Err(PermitError::Tree { permitted });
        }
        if permitted != class.name() || Some(self.type_id) != class.type_id() {
            return Err(PermitError::Type { permitted, requested: class.name() });
        }
        Ok(())
    }

    /// Turns the permit into the part of a `T` that only a permit can make.
    ///
    /// # Errors
    /// If the permit is for another type or another tree.
    #[doc(hidden)]
    pub fn redeem<T: Object>(
        self,
        construction: &mut Construction,
    ) -> Result<Instance, PermitError> {
        if self.type_id != TypeId::of::<T>() {
            return Err(PermitError::Type {
                permitted: self.type_name,
                requested: type_name::<T>(),
            });
        }
        if self.tree != construction.tree() {
            return Err(PermitError::Tree { permitted: self.type_name });
        }
        Ok(construction.instance())
    }
}
