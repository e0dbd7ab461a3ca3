//! Describes commands, events and the types that they use to clients.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    info::{
        SchemaFeature, SchemaInfo, SchemaInfoAlternateMember, SchemaInfoEnumMember, SchemaInfoKind,
        SchemaInfoObjectMember, SchemaInfoVariant,
    },
    names::Names,
    types::{Object, Type, TypeId, Types},
};
use qom_core::{CompatPolicy, Feature, Features};

use crate::monitor::{CommandInfo, EventInfo};

/// All that is called by a name that no type in Rust may have in the description.
const BUILTINS: [&str; 6] = ["any", "bool", "int", "null", "number", "str"];

/// Describes commands, events and each type that one of them uses, sorted by name, but for what a
/// policy hides.
#[must_use]
pub fn describe(
    commands: &[&'static CommandInfo],
    events: &[&'static EventInfo],
    policy: CompatPolicy,
) -> Vec<SchemaInfo> {
    let shown = |features| !policy.hides(features);
    let commands: Vec<_> =
        commands.iter().filter(|command| shown(command.lifecycle.features())).collect();
    let events: Vec<_> = events.iter().filter(|event| shown(event.lifecycle.features())).collect();
    let mut types = Types::default();
    let read_command = |command: &&&CommandInfo| {
        (types.read(&command.arguments()), types.read(&command.returns()))
    };
    let command_types: Vec<_> = commands.iter().map(read_command).collect();
    let event_types: Vec<_> = events.iter().map(|event| types.read(&event.data())).collect();

    types.hide(policy);

    let names = commands.iter().map(|command| command.name);
    let names = names.chain(events.iter().map(|event| event.name)).chain(BUILTINS);
    let taken = names.map(str::to_owned).collect();
    let mut described = Described {
        types: &types,
        names: Names::new(&types, taken),
        seen: BTreeSet::new(),
        open: Vec::new(),
        infos: BTreeMap::new(),
    };
    for (command, (arguments, returns)) in commands.iter().zip(command_types) {
        let kind = SchemaInfoKind::Command {
            arg_type: described.refer(arguments),
            ret_type: described.refer(returns),
            allow_oob: command.out_of_band,
        };
        described.add(command.name.to_owned(), kind, features(command.lifecycle.features()));
    }
    for (event, data) in events.iter().zip(event_types) {
        let kind = SchemaInfoKind::Event { arg_type: described.refer(data) };
        described.add(event.name.to_owned(), kind, features(event.lifecycle.features()));
    }
    while let Some(id) = described.open.pop() {
        described.describe(id);
    }
    described.infos.into_values().collect()
}

struct Described<'t> {
    types: &'t Types,
    names: Names<'t>,
    seen: BTreeSet<TypeId>,
    /// What was referred to and is to be described.
    open: Vec<TypeId>,
    infos: BTreeMap<String, SchemaInfo>,
}

impl Described<'_> {
    fn add(&mut self, name: String, kind: SchemaInfoKind, features: Vec<SchemaFeature>) {
        self.infos.insert(name.clone(), SchemaInfo { name, kind, features });
    }

    /// The name of a type, which is described too.
    fn refer(&mut self, id: TypeId) -> String {
        if self.seen.insert(id) {
            self.open.push(id);
        }
        self.names.of(id)
    }

    fn describe(&mut self, id: TypeId) {
        let name = self.names.of(id);
        if self.infos.contains_key(&name) {
            return;
        }
        let builtin = |json_type| SchemaInfoKind::Builtin { json_type };
        let kind = match self.types.get(id) {
            Type::Any => builtin("value"),
            Type::Null => builtin("null"),
            Type::Bool => builtin("boolean"),
            Type::Str => builtin("string"),
            Type::Number => builtin("number"),
            Type::Int(_) => builtin("int"),
            Type::Array(element) => SchemaInfoKind::Array { element_type: self.refer(*element) },
            Type::Enum(words) => SchemaInfoKind::Enum {
                members: words
                    .values
                    .iter()
                    .map(|value| SchemaInfoEnumMember {
                        name: value.name.clone(),
                        features: features(value.features),
                    })
                    .collect(),
                values: words.values.iter().map(|value| value.name.clone()).collect(),
            },
            Type::Object(object) if object.is_map() => builtin("value"),
            Type::Object(object) => self.object(object),
            Type::Alternate(alternate) => {
                let options = alternate.options.iter();
                let member = |id: &_| SchemaInfoAlternateMember { type_name: self.refer(*id) };
                SchemaInfoKind::Alternate { members: options.map(member).collect() }
            }
        };
        self.add(name, kind, Vec::new());
    }

    fn object(&mut self, object: &Object) -> SchemaInfoKind {
        let mut members = Vec::new();
        for member in &object.members {
            members.push(SchemaInfoObjectMember {
                name: member.name.clone(),
                type_name: self.refer(member.type_id),
                default: member.optional.then_some(()),
                features: features(member.features),
            });
        }
        let Some(variants) = &object.variants else {
            return SchemaInfoKind::Object { members, tag: None, variants: None };
        };
        members.push(SchemaInfoObjectMember {
            name: variants.tag.clone(),
            type_name: self.refer(variants.tag_type),
            default: None,
            features: Vec::new(),
        });
        let cases = variants
            .cases
            .iter()
            .map(|(case, id)| SchemaInfoVariant { case: case.clone(), type_name: self.refer(*id) });
        let cases = cases.collect();
        SchemaInfoKind::Object { members, tag: Some(variants.tag.clone()), variants: Some(cases) }
    }
}

fn features(features: Features) -> Vec<SchemaFeature> {
    let told = features.iter().map(|feature| match feature {
        Feature::Deprecated => SchemaFeature::Deprecated,
        Feature::Unstable => SchemaFeature::Unstable,
    });
    told.collect()
}
