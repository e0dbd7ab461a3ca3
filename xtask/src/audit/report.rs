//! What an audit finds in a registry.

use std::collections::BTreeMap;

use qom_core::{Boundaries, Class, Registry, SecurityStatus, TypeKind};
use serde::Serialize;

/// The heading of types that have none, their own or inherited.
const NO_CATEGORY: &str = "none";

/// Everything that an audit tells. Lists are sorted by name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    /// How many concrete types have each status.
    pub(super) counts: Counts,
    /// The same for each category.
    pub(super) categories: BTreeMap<&'static str, Counts>,
    /// Concrete types.
    pub(super) types: Vec<Entry>,
    /// Abstract classes and interfaces, of which nothing is created.
    pub(super) classes: Vec<Entry>,
    /// The concrete types that nothing is stated of.
    pub(super) undeclared: Vec<Gap>,
}

/// How many types have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) secure: usize,
    pub(super) insecure: usize,
    pub(super) undeclared: usize,
}

impl Counts {
    fn add(&mut self, status: SecurityStatus) {
        *match status {
            SecurityStatus::Secure => &mut self.secure,
            SecurityStatus::Insecure { .. } => &mut self.insecure,
            SecurityStatus::Undeclared => &mut self.undeclared,
        } += 1;
    }

    /// All of them.
    pub(super) const fn total(self) -> usize {
        self.secure + self.insecure + self.undeclared
    }
}

/// One type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// `concrete`, `abstract` or `interface`.
    pub(super) kind: &'static str,
    /// `secure`, `insecure` or `undeclared`.
    pub(super) security: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// Where untrusted input reaches it, ancestors' and interfaces' boundaries included.
    pub(super) boundaries: Boundaries,
    pub(super) category: &'static str,
    /// How many of its own properties have values that are declared insecure.
    pub(super) insecure_properties: usize,
    /// Crate and version.
    pub(super) stated_by: String,
    /// File and line.
    pub(super) stated_at: String,
}

impl Entry {
    /// Whether it is a class or interface that nothing is stated of.
    pub(super) fn is_blank_class(&self) -> bool {
        self.kind != "concrete" && self.security == SecurityStatus::Undeclared.name()
    }

    fn of(class: &Class) -> Self {
        let (info, status) = (class.info(), class.status());
        let with_insecure_values =
            |property: &&qom_core::PropertyInfo| !property.insecure.is_empty();
        Self {
            name: info.name,
            kind: info.kind.name(),
            security: status.name(),
            reason: status.reason(),
            boundaries: class.boundaries(),
            category: class.category().unwrap_or(NO_CATEGORY),
            insecure_properties: info.properties.iter().filter(with_insecure_values).count(),
            stated_by: info.statement.to_string(),
            stated_at: format!("{}:{}", info.statement.file, info.statement.line),
        }
    }
}

/// A concrete type that nothing is stated of.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Gap {
    pub(super) name: &'static str,
    pub(super) stated_at: String,
}

impl Report {
    /// Audits a registry.
    pub(super) fn of(registry: &Registry) -> Self {
        let mut report = Self {
            counts: Counts::default(),
            categories: BTreeMap::new(),
            types: Vec::new(),
            classes: Vec::new(),
            undeclared: Vec::new(),
        };
        for class in registry.classes() {
            let entry = Entry::of(class);
            if !matches!(class.info().kind, TypeKind::Concrete(_)) {
                report.classes.push(entry);
                continue;
            }
            report.counts.add(class.status());
            report.categories.entry(entry.category).or_default().add(class.status());
            if class.status() == SecurityStatus::Undeclared {
                let stated_at = entry.stated_at.clone();
                report.undeclared.push(Gap { name: entry.name, stated_at });
            }
            report.types.push(entry);
        }
        report
    }
}

#[cfg(test)]
pub(super) mod tests {
    use qom_core::{Boundary, ClassType, Container, Statement, TypeInfo};

    use super::*;

    const CONCRETE: TypeKind = <Container as ClassType>::INFO.kind;

    const fn class(name: &'static str, kind: TypeKind, parent: Option<&'static str>) -> TypeInfo {
        let statement = Statement {
            crate_name: "some-devices",
            crate_ident: "some_devices",
            crate_version: "1.2.3",
            file: "devices/src/some.rs",
            line: 7,
        };
        TypeInfo { parent, ..TypeInfo::undeclared(name, "a type of a test", kind, statement) }
    }

    /// An abstract class with a secure, an insecure and two undeclared descendants.
    pub(crate) fn sample() -> Report {
        static TYPES: [TypeInfo; 6] = [
            class("zip", CONCRETE, Some("device")),
            TypeInfo {
                boundaries: Boundaries::of(&[Boundary::Guest]),
                category: Some("Input devices"),
                ..class("device", TypeKind::Abstract, None)
            },
            TypeInfo {
                status: SecurityStatus::Insecure { reason: "never meant to face a guest" },
                category: Some("Storage devices"),
                boundaries: Boundaries::of(&[Boundary::File]),
                ..class("floppy", CONCRETE, Some("device"))
            },
            TypeInfo { status: SecurityStatus::Secure, ..class("clock", CONCRETE, Some("device")) },
            class("plug", TypeKind::Interface, None),
            TypeInfo { category: None, ..class("beeper", CONCRETE, None) },
        ];
        Report::of(&Registry::new(&TYPES).unwrap())
    }

    fn names(entries: &[Entry]) -> Vec<&'static str> {
        entries.iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn types_are_sorted_by_name_and_apart_from_what_is_never_created() {
        let report = sample();
        assert_eq!(names(&report.types), ["beeper", "clock", "floppy", "zip"]);
        assert_eq!(names(&report.classes), ["device", "plug"]);
    }

    #[test]
    fn a_class_that_states_nothing_is_no_gap() {
        let report = sample();
        assert_eq!(report.counts, Counts { secure: 1, insecure: 1, undeclared: 2 });
        let gaps: Vec<_> = report.undeclared.iter().map(|gap| gap.name).collect();
        assert_eq!(gaps, ["beeper", "zip"]);
        assert_eq!(report.undeclared[0].stated_at, "devices/src/some.rs:7");
    }

    #[test]
    fn each_category_is_counted_by_status_inherited_ones_too() {
        let report = sample();
        let counted: Vec<_> = report.categories.into_iter().collect();
        assert_eq!(
            counted,
            [
                ("Input devices", Counts { secure: 1, undeclared: 1, insecure: 0 }),
                ("Storage devices", Counts { insecure: 1, ..Counts::default() }),
                ("none", Counts { undeclared: 1, ..Counts::default() }),
            ]
        );
    }

    #[test]
    fn an_entry_tells_reason_boundaries_and_who_states_it() {
        let report = sample();
        let floppy = serde_json::to_value(&report.types[2]).unwrap();
        assert_eq!(
            floppy,
            serde_json::json!({
                "name": "floppy",
                "kind": "concrete",
                "security": "insecure",
                "reason": "never meant to face a guest",
                "boundaries": ["guest", "file"],
                "category": "Storage devices",
                "insecure-properties": 0,
                "stated-by": "some-devices 1.2.3",
                "stated-at": "devices/src/some.rs:7",
            })
        );
    }
}
