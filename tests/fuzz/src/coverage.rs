//! Which types have a target: whoever calls a type secure that stands at a boundary has one.

use device_model::qom_core::{Class, Registry, SecurityStatus, Statement};
use thiserror::Error;

use crate::Target;

/// The crate whose concrete types stand in for devices and streams in tests. No monitor has them.
pub(crate) const OF_TESTS: &str = "device-model";

/// What is wrong between types and targets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Gap {
    /// A type that no target covers.
    #[error(
        "type '{name}' at {}:{} is declared as secure and faces {boundaries}, but no fuzz target \
         covers it",
        .at.file, .at.line
    )]
    Uncovered {
        /// The type.
        name: &'static str,
        /// The boundaries at which it stands.
        boundaries: String,
        /// Where it is defined.
        at: Statement,
    },
    /// A target that covers a type which is none.
    #[error("the fuzz target '{target}' covers '{name}', which is no concrete type")]
    Unknown {
        /// The target.
        target: &'static str,
        /// The name that it gives.
        name: &'static str,
    },
}

/// Concrete types that are declared secure, stand at a boundary and are covered by no target; and
/// names in targets that are no concrete type's. Sorted: types by name, then targets by name.
#[must_use]
pub fn gaps(registry: &Registry, targets: &[&Target]) -> Vec<Gap> {
    let covered =
        |class: &Class| targets.iter().any(|target| target.covers.contains(&class.name()));
    let uncovered = registry
        .classes()
        .filter(|class| needs_a_target(class) && !covered(class))
        .map(|class| Gap::Uncovered {
            name: class.name(),
            boundaries: class.boundaries().to_string(),
            at: class.statement(),
        });
    let exists = |name| registry.class(name).is_some_and(|class| !class.is_abstract());
    let unknown = targets.iter().flat_map(|target| {
        let unknown = target.covers.iter().filter(|name| !exists(name));
        unknown.map(|name| Gap::Unknown { target: target.name, name })
    });
    uncovered.chain(unknown).collect()
}

fn needs_a_target(class: &Class) -> bool {
    !class.is_abstract()
        && class.status() == SecurityStatus::Secure
        && class.boundaries().iter().next().is_some()
        && class.statement().crate_name != OF_TESTS
}

#[cfg(test)]
mod tests {
    use device_model::qom_core::{Boundaries, Boundary, ClassType, Container, TypeInfo, TypeKind};

    use super::*;

    #[test]
    fn every_secure_type_at_a_boundary_has_a_target() {
        let registry = Registry::global().unwrap();
        registry.require_crates(&["vmm", "devices"]).unwrap();
        let gaps = gaps(registry, &crate::targets());
        let told: Vec<_> = gaps.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }

    const CONCRETE: TypeKind = <Container as ClassType>::INFO.kind;

    const fn device(name: &'static str, kind: TypeKind) -> TypeInfo {
        let statement = Statement {
            crate_name: "some",
            crate_ident: "some",
            crate_version: "1.0.0",
            file: "some.rs",
            line: 7,
        };
        TypeInfo {
            status: SecurityStatus::Secure,
            boundaries: Boundaries::of(&[Boundary::Guest]),
            ..TypeInfo::undeclared(name, "A device of a test", kind, statement)
        }
    }

    #[test]
    fn what_is_not_covered_and_what_covers_nothing_is_told() {
        static TYPES: [TypeInfo; 6] = [
            device("zip", CONCRETE),
            device("clock", CONCRETE),
            device("class", TypeKind::Abstract),
            TypeInfo { status: SecurityStatus::Undeclared, ..device("old", CONCRETE) },
            TypeInfo {
                status: SecurityStatus::Insecure { reason: "it is old" },
                ..device("older", CONCRETE)
            },
            TypeInfo { boundaries: Boundaries::NONE, ..device("inside", CONCRETE) },
        ];
        let registry = Registry::new(&TYPES).unwrap();
        let target = Target { name: "all", covers: &["clock", "clocks", "class"], run: |_| {} };
        let told: Vec<_> = gaps(&registry, &[&target]).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "type 'zip' at some.rs:7 is declared as secure and faces guest, but no fuzz target \
                 covers it",
                "the fuzz target 'all' covers 'clocks', which is no concrete type",
                "the fuzz target 'all' covers 'class', which is no concrete type",
            ]
        );
    }
}
