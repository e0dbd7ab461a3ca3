//! All types of a program, collected at link time and checked before anything starts.

mod ancestry;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

use thiserror::Error;

use crate::{
    class::Class,
    suggestion::Suggestion,
    type_info::{Registration, Statement, TypeInfo},
};

use ancestry::Ancestry;

/// The types of a program, sorted by name.
///
/// It is built once and checked when it is built. Classes are resolved when they are first asked
/// for, so that a start pays for the types it uses.
pub struct Registry {
    infos: Vec<&'static TypeInfo>,
    ancestry: Ancestry,
    classes: Vec<OnceLock<Arc<Class>>>,
}

/// One thing that is wrong with the types that were linked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Two types of one name.
    #[error("type '{name}' is defined twice: at {first} and at {second}")]
    Duplicate {
        /// The name.
        name: &'static str,
        /// One place.
        first: Place,
        /// The other.
        second: Place,
    },
    /// A parent or interface that no linked crate defines.
    #[error(
        "type '{name}' at {place} names {relation} '{missing}', which no linked crate defines{suggestion}"
    )]
    Unknown {
        /// The type.
        name: &'static str,
        /// Where it is defined.
        place: Place,
        /// `parent` or `interface`.
        relation: &'static str,
        /// The name that leads nowhere.
        missing: &'static str,
        /// A name that may have been meant.
        suggestion: Suggestion,
    },
    /// A parent or interface of the wrong kind.
    #[error("type '{name}' at {place} names {relation} '{other}', which is {found}")]
    Kind {
        /// The type.
        name: &'static str,
        /// Where it is defined.
        place: Place,
        /// `parent` or `interface`.
        relation: &'static str,
        /// The name that is of the wrong kind.
        other: &'static str,
        /// What that is.
        found: &'static str,
    },
    /// A type that descends from itself.
    #[error("type '{name}' at {place} descends from itself: {chain}")]
    Cycle {
        /// The type.
        name: &'static str,
        /// Where it is defined.
        place: Place,
        /// The way round.
        chain: String,
    },
    /// A secure type that descends from an insecure class.
    #[error(
        "type '{name}' at {place} is declared as secure, but its ancestor '{ancestor}' at \
         {ancestor_place} is declared as insecure: {reason}"
    )]
    SecureOverInsecure {
        /// The type.
        name: &'static str,
        /// Where it is defined.
        place: Place,
        /// The insecure class.
        ancestor: &'static str,
        /// Where that is defined.
        ancestor_place: Place,
        /// Why that is insecure.
        reason: &'static str,
    },
    /// Two declarations of one property in a class and its ancestors.
    #[error(
        "type '{name}' at {place} declares property '{property}', which '{other}' declares too"
    )]
    DuplicateProperty {
        /// The type.
        name: &'static str,
        /// Where it is defined.
        place: Place,
        /// The property.
        property: &'static str,
        /// The other type that declares it.
        other: &'static str,
    },
    /// A crate that the program names for its types, and that has none.
    #[error(
        "crate '{name}' was named for its types but registered none: it was not linked, \
         defines no type, or calls itself by another name{suggestion}"
    )]
    EmptyCrate {
        /// Name of the crate.
        name: String,
        /// A crate that registered something and may have been meant.
        suggestion: Suggestion,
    },
}

impl RegistryError {
    /// What is wrong, by name.
    fn subject(&self) -> String {
        match self {
            Self::Duplicate { name, .. }
            | Self::Unknown { name, .. }
            | Self::Kind { name, .. }
            | Self::Cycle { name, .. }
            | Self::SecureOverInsecure { name, .. }
            | Self::DuplicateProperty { name, .. } => (*name).to_owned(),
            Self::EmptyCrate { name, .. } => name.clone(),
        }
    }
}

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl From<Statement> for Place {
    fn from(statement: Statement) -> Self {
        Self { file: statement.file, line: statement.line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Everything that is wrong with the types that were linked, sorted by type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct RegistryErrors(pub Vec<RegistryError>);

impl fmt::Display for RegistryErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Registry {
    /// The types that were linked into this program.
    ///
    /// # Errors
    /// If they contradict each other. The answer is the same for the life of the process.
    pub fn global() -> Result<&'static Arc<Self>, &'static RegistryErrors> {
        static GLOBAL: OnceLock<Result<Arc<Registry>, RegistryErrors>> = OnceLock::new();
        GLOBAL
            .get_or_init(|| {
                Self::new(inventory::iter::<Registration>().map(|registration| registration.0))
                    .map(Arc::new)
            })
            .as_ref()
    }

    /// A registry of the types given, which are checked.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn new(types: impl IntoIterator<Item = &'static TypeInfo>) -> Result<Self, RegistryErrors> {
        let mut infos: Vec<_> = types.into_iter().collect();
        let place = |info: &TypeInfo| (info.statement.file, info.statement.line);
        infos.sort_unstable_by(|one, other| {
            one.name.cmp(other.name).then_with(|| place(one).cmp(&place(other)))
        });
        let mut errors = Vec::new();
        for pair in infos.windows(2) {
            if let [first, second] = pair
                && first.name == second.name
            {
                errors.push(RegistryError::Duplicate {
                    name: first.name,
                    first: first.statement.into(),
                    second: second.statement.into(),
                });
            }
        }
        if !errors.is_empty() {
            return Err(RegistryErrors(errors));
        }
        let ancestry = Ancestry::of(&infos, &mut errors);
        if errors.is_empty() {
            ancestry.check(&infos, &mut errors);
        }
        if !errors.is_empty() {
            errors.sort_by_key(RegistryError::subject);
            return Err(RegistryErrors(errors));
        }
        let classes = infos.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { infos, ancestry, classes })
    }

    /// Checks that each of these crates registered something. A crate that nothing refers to is
    /// left out by the linker without a word, and its types with it.
    ///
    /// A crate is named as it calls itself in code, see [`Statement::crate_ident`]: neither by its
    /// package nor as the manifest of the program may call it.
    ///
    /// # Errors
    /// Names each crate that registered nothing.
    pub fn require_crates(&self, crates: &[&str]) -> Result<(), RegistryErrors> {
        let registered: BTreeSet<_> =
            self.infos.iter().map(|info| info.statement.crate_ident).collect();
        let missing: Vec<_> = crates
            .iter()
            .filter(|name| !registered.contains(*name))
            .map(|name| RegistryError::EmptyCrate {
                name: (*name).to_owned(),
                suggestion: Suggestion::of(name, registered.iter().copied()),
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(RegistryErrors(missing)) }
    }

    /// All types, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = &'static TypeInfo> + '_ {
        self.infos.iter().copied()
    }

    /// All classes, sorted by name.
    pub fn classes(&self) -> impl Iterator<Item = &Arc<Class>> {
        (0..self.infos.len()).map(|position| self.resolve(position))
    }

    /// The class of that name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Arc<Class>> {
        self.position(name).map(|position| self.resolve(position))
    }

    /// The name most like one that does not exist, among concrete types that descend from `class`.
    #[must_use]
    pub fn suggest(&self, name: &str, class: &str) -> Suggestion {
        let names = self
            .classes()
            .filter(|candidate| !candidate.is_abstract() && candidate.is_a(class))
            .map(|candidate| candidate.name());
        Suggestion::of(name, names)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.infos.binary_search_by_key(&name, |info| info.name).ok()
    }

    /// No recursion without end: the registry has no cycle.
    fn resolve(&self, position: usize) -> &Arc<Class> {
        self.classes[position].get_or_init(|| {
            let info = self.infos[position];
            let class = |of: usize| Arc::clone(self.resolve(of));
            let parent = self.ancestry.parent(position).map(class);
            let interfaces = self.ancestry.interfaces(position).iter().copied().map(class);
            let interfaces = interfaces.collect();
            Arc::new(Class::new(info, parent, interfaces))
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("types", &self.infos.len()).finish_non_exhaustive()
    }
}
