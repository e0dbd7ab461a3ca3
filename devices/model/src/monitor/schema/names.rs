//! Gives each type one name: types that are the same share one, and different types of one name in
//! Rust are numbered.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Alternate, Enum, Object, Type, TypeId, Types};

/// The names of types.
pub(super) struct Names<'t> {
    types: &'t Types,
    /// What types, commands and events are called.
    taken: BTreeSet<String>,
    /// The different types of each name in Rust, and what each is called.
    called: BTreeMap<&'t str, Vec<(TypeId, String)>>,
}

impl<'t> Names<'t> {
    /// No names but those that are taken.
    pub(super) const fn new(types: &'t Types, taken: BTreeSet<String>) -> Self {
        Self { types, taken, called: BTreeMap::new() }
    }

    /// What a type is called.
    pub(super) fn of(&mut self, id: TypeId) -> String {
        match self.types.get(id) {
            Type::Any => "any".to_owned(),
            Type::Null => "null".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Str => "str".to_owned(),
            Type::Number => "number".to_owned(),
            Type::Int(_) => "int".to_owned(),
            Type::Array(element) => format!("[{}]", self.of(*element)),
            Type::Object(object) if object.is_map() => "any".to_owned(),
            Type::Enum(Enum { name, .. })
            | Type::Object(Object { name, .. })
            | Type::Alternate(Alternate { name, .. }) => self.named(id, name),
        }
    }

    fn named(&mut self, id: TypeId, name: &'t str) -> String {
        let called = self.called.entry(name).or_default();
        let same = called.iter().find(|(other, _)| same(self.types, id, *other));
        if let Some((_, name)) = same {
            return name.clone();
        }
        let mut free = name.to_owned();
        let mut number = 2_u32;
        while !self.taken.insert(free.clone()) {
            free = format!("{name}{number}");
            number = number.saturating_add(1);
        }
        called.push((id, free.clone()));
        free
    }
}

impl Object {
    /// Whether it has no names but those that the client chooses.
    pub(super) fn is_map(&self) -> bool {
        self.others.is_some() && self.members.is_empty() && self.variants.is_none()
    }
}

/// Whether clients can't tell two types apart, as far as the protocol describes them.
fn same(types: &Types, one: TypeId, other: TypeId) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![(one, other)];
    // What is compared already is the same unless something else differs: types refer to themselves.
    while let Some(pair) = open.pop() {
        if pair.0 != pair.1 && seen.insert(pair) && !alike(types, pair, &mut open) {
            return false;
        }
    }
    true
}

/// Compares two types but for the types that they refer to, which it lists.
fn alike(types: &Types, pair: (TypeId, TypeId), open: &mut Vec<(TypeId, TypeId)>) -> bool {
    match (types.get(pair.0), types.get(pair.1)) {
        (Type::Any, Type::Any)
        | (Type::Null, Type::Null)
        | (Type::Bool, Type::Bool)
        | (Type::Str, Type::Str)
        | (Type::Number, Type::Number)
        | (Type::Int(_), Type::Int(_)) => true,
        (Type::Array(one), Type::Array(other)) => {
            open.push((*one, *other));
            true
        }
        (Type::Enum(one), Type::Enum(other)) => {
            one.name == other.name && one.values == other.values
        }
        (Type::Object(one), Type::Object(other)) => alike_objects(one, other, open),
        (Type::Alternate(one), Type::Alternate(other)) => {
            open.extend(one.options.iter().copied().zip(other.options.iter().copied()));
            one.name == other.name && one.options.len() == other.options.len()
        }
        _ => false,
    }
}

fn alike_objects(one: &Object, other: &Object, open: &mut Vec<(TypeId, TypeId)>) -> bool {
    if one.is_map() || other.is_map() {
        return one.is_map() && other.is_map();
    }
    let members = one.members.iter().zip(&other.members);
    let mut alike = one.name == other.name && one.members.len() == other.members.len();
    for (one, other) in members {
        open.push((one.type_id, other.type_id));
        alike &= one.name == other.name
            && one.optional == other.optional
            && one.features == other.features;
    }
    match (&one.variants, &other.variants) {
        (None, None) => alike,
        (Some(one), Some(other)) => {
            open.push((one.tag_type, other.tag_type));
            open.extend(one.cases.iter().map(|it| it.1).zip(other.cases.iter().map(|it| it.1)));
            alike && one.tag == other.tag && one.cases.len() == other.cases.len()
        }
        _ => false,
    }
}
