//! The type of objects that only hold others.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use crate::{
    ClassType, Object, SecurityStatus, Statement, TypeInfo, TypeKind,
    cast::{self, CastTable},
    instance::{ConstructError, Construction, Instance},
    permit::Permit,
    type_info::{Implementation, Registration, crate_ident},
};

/// An object with no purpose but to hold others. It sees no input, so that no boundary is its.
#[derive(Debug)]
pub struct Container {
    instance: Instance,
}

impl Object for Container {
    fn instance(&self) -> &Instance {
        &self.instance
    }
}

// By hand, since the macros name this crate by a path that holds outside it only.
#[diagnostic::do_not_recommend]
impl ClassType for Container {
    const INFO: &'static TypeInfo = &TypeInfo {
        parent: Some(<dyn Object as ClassType>::INFO.name),
        status: SecurityStatus::Secure,
        ..TypeInfo::undeclared(
            "container",
            "An object that only holds others",
            TypeKind::Concrete(&Implementation {
                type_id: TypeId::of::<Self>,
                construct: Self::construct,
                casts: Self::casts,
                children: None,
            }),
            Statement {
                crate_name: env!("CARGO_PKG_NAME"),
                crate_ident: crate_ident(module_path!()),
                crate_version: env!("CARGO_PKG_VERSION"),
                file: file!(),
                line: line!(),
            },
        )
    };
}

impl Container {
    fn construct(
        permit: Permit,
        construction: &mut Construction,
    ) -> Result<Arc<dyn Object>, ConstructError> {
        Ok(Arc::new(Self { instance: permit.redeem::<Self>(construction)? }))
    }

    fn casts(table: &mut CastTable) {
        fn put(object: Arc<dyn Object>, slot: &mut dyn Any) {
            cast::put::<Container, Container>(object, slot, |object| object);
        }
        table.add::<Self>(put);
        <dyn Object>::__casts::<Self>(table);
    }
}

inventory::submit!(Registration(Container::INFO));
