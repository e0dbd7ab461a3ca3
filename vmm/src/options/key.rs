//! Keys that options read by themselves, beside the properties of what they create.

/// A key of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: KeyKind,
    /// What it says, for help.
    pub description: &'static str,
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Text.
    Text,
    /// On or off.
    Switch,
    /// A whole number.
    Number,
    /// A number of bytes.
    Size,
}

impl KeyKind {
    /// As help shows it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "str",
            Self::Switch => "bool",
            Self::Number => "int",
            Self::Size => "size",
        }
    }
}

impl Key {
    /// A key of text.
    pub(crate) const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: KeyKind::Text, description }
    }

    /// A key that is on or off.
    pub(crate) const fn switch(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: KeyKind::Switch, description }
    }

    /// A key of numbers.
    pub(crate) const fn number(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: KeyKind::Number, description }
    }

    /// A key of numbers of bytes.
    pub(crate) const fn size(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: KeyKind::Size, description }
    }
}

/// Their names.
pub(crate) fn names(keys: &'static [Key]) -> impl Iterator<Item = &'static str> + Clone {
    keys.iter().map(|key| key.name)
}
