//! Registers 10,000 types, builds the registry of them, and says so with one byte on standard
//! output: from the start of the process till then is what 10,000 types cost.
//!
//! Each type is submitted by itself, as the macros do it, with an ancestor, an interface and a
//! boundary.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use device_model::qom_core::{
    __private::inventory, Boundaries, Boundary, ClassType, Container, Registration, Registry,
    SecurityStatus, Statement, TypeInfo, TypeKind,
};

/// How many types the macro below makes.
const TYPES: usize = 10_000;

const fn type_info(name: &'static str, kind: TypeKind, parent: &'static str) -> TypeInfo {
    let statement = Statement {
        crate_name: env!("CARGO_PKG_NAME"),
        crate_ident: env!("CARGO_CRATE_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
        file: file!(),
        line: line!(),
    };
    TypeInfo {
        parent: Some(parent),
        status: SecurityStatus::Secure,
        boundaries: Boundaries::of(&[Boundary::Guest]),
        ..TypeInfo::undeclared(name, "One of ten thousand", kind, statement)
    }
}

/// The code behind each: never run.
const KIND: TypeKind = <Container as ClassType>::INFO.kind;

static CLASS: TypeInfo = type_info("load-class", TypeKind::Abstract, "device");
inventory::submit!(Registration(&CLASS));

macro_rules! submit {
    ($($digit:tt)*) => {
        const _: () = {
            static INFO: TypeInfo = TypeInfo {
                interfaces: &["port-io"],
                ..type_info(concat!("load", $("-", $digit),*), KIND, "load-class")
            };
            inventory::submit!(Registration(&INFO));
        };
    };
}

bench_programs::each_number!(submit; thousands hundreds tens ones;);

fn main() -> ExitCode {
    let registry = match Registry::global() {
        Ok(registry) => registry,
        Err(errors) => {
            eprintln!("registry-load: {errors}");
            return ExitCode::FAILURE;
        }
    };
    if io::stdout().write_all(b"R").and_then(|()| io::stdout().flush()).is_err() {
        return ExitCode::FAILURE;
    }
    let found = registry.types().filter(|info| info.parent == Some(CLASS.name)).count();
    if found == TYPES {
        ExitCode::SUCCESS
    } else {
        eprintln!("registry-load: expected {TYPES} types, found {found}");
        ExitCode::FAILURE
    }
}
