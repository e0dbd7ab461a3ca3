//! The commands and the events of a program, collected at link time and checked at first use.

use std::{fmt, sync::OnceLock};

use qom_core::Place;
use thiserror::Error;

use super::{command::CommandInfo, event::EventInfo};

/// All registered commands.
pub type CommandTable = Table<CommandInfo>;

/// All registered events.
pub type EventTable = Table<EventInfo>;

/// What was registered of one kind, sorted by name.
pub struct Table<T: 'static> {
    entries: Vec<&'static T>,
}

/// What has a name of its own among its kind.
pub(super) trait Named {
    /// What it is, in words.
    const KIND: &'static str;

    /// Its name.
    fn name(&self) -> &'static str;

    /// Where it was registered.
    fn place(&self) -> Place;
}

/// Two things of one kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} '{name}' is registered twice: at {first} and at {second}")]
pub struct DuplicateName {
    /// `command` or `event`.
    pub kind: &'static str,
    /// The name.
    pub name: &'static str,
    /// One place.
    pub first: Place,
    /// The other.
    pub second: Place,
}

/// All names that were registered twice, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct DuplicateNames(pub Vec<DuplicateName>);

impl fmt::Display for DuplicateNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, duplicate) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{duplicate}")?;
        }
        Ok(())
    }
}

/// Sorted by name, if each has its own.
fn sorted<T: Named>(
    entries: impl IntoIterator<Item = &'static T>,
) -> Result<Table<T>, DuplicateNames> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    // By place too: link order differs between builds.
    entries.sort_unstable_by_key(|entry| (entry.name(), entry.place().file, entry.place().line));
    let duplicate = |pair: &[&T]| match pair {
        [first, second] if first.name() == second.name() => Some(DuplicateName {
            kind: T::KIND,
            name: first.name(),
            first: first.place(),
            second: second.place(),
        }),
        _ => None,
    };
    let duplicates: Vec<_> = entries.windows(2).filter_map(duplicate).collect();
    if duplicates.is_empty() { Ok(Table { entries }) } else { Err(DuplicateNames(duplicates)) }
}

fn find<T: Named>(table: &Table<T>, name: &str) -> Option<&'static T> {
    let found = table.entries.binary_search_by(|entry| entry.name().cmp(name)).ok()?;
    table.entries.get(found).copied()
}

impl<T> Table<T> {
    /// All of them, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[&'static T] {
        &self.entries
    }
}

impl<T: fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

impl CommandTable {
    /// The commands that were linked into this program.
    ///
    /// # Errors
    /// If two are of one name. The answer is the same for the life of the process.
    pub fn global() -> Result<&'static Self, &'static DuplicateNames> {
        static GLOBAL: OnceLock<Result<CommandTable, DuplicateNames>> = OnceLock::new();
        GLOBAL.get_or_init(|| sorted(inventory::iter::<CommandInfo>)).as_ref()
    }

    /// The command of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static CommandInfo> {
        find(self, name)
    }
}

impl EventTable {
    /// The events that were linked into this program.
    ///
    /// # Errors
    /// If two are of one name. The answer is the same for the life of the process.
    pub fn global() -> Result<&'static Self, &'static DuplicateNames> {
        static GLOBAL: OnceLock<Result<EventTable, DuplicateNames>> = OnceLock::new();
        GLOBAL.get_or_init(|| sorted(inventory::iter::<EventInfo>)).as_ref()
    }

    /// The event of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static EventInfo> {
        find(self, name)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::event::{Event, EventShape},
        *,
    };

    #[derive(serde::Serialize, schemars::JsonSchema)]
    struct Sample {}

    impl Event for Sample {
        const NAME: &'static str = "SAMPLE";
        const CAUSED_BY_GUEST: bool = false;
    }

    static SHAPE: EventShape = EventShape::new();
    static LATER: EventInfo = EventInfo::of::<Sample>(&SHAPE, Place { file: "b.rs", line: 2 });
    static EARLIER: EventInfo = EventInfo::of::<Sample>(&SHAPE, Place { file: "a.rs", line: 7 });

    #[test]
    fn two_events_of_one_name_are_an_error_that_names_both_places() {
        let error = sorted([&LATER, &EARLIER]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "event 'SAMPLE' is registered twice: at a.rs:7 and at b.rs:2"
        );
    }

    #[test]
    fn what_is_registered_once_is_found_by_its_name() {
        let table = sorted([&LATER]).unwrap();
        assert_eq!(table.get("SAMPLE").map(|event| event.place), Some(LATER.place));
        assert!(table.get("SAMPLES").is_none());
        assert_eq!(table.entries().len(), 1);
    }
}
