//! What is deprecated or unstable: found in what a client gives, and left out of what it is told.

use qom_core::{CompatFinding, CompatPolicy, Features, Subject};
use serde_json::{Map, Value};

use super::{
    check::Path,
    shape::Shape,
    types::{Object, Type, TypeId, Types},
};

impl Types {
    /// Whether any member or word has a feature.
    pub(super) fn have_features(&self) -> bool {
        let has = |features: Features| features != Features::NONE;
        self.list.iter().any(|one| match one {
            Type::Object(object) => object.members.iter().any(|member| has(member.features)),
            Type::Enum(words) => words.values.iter().any(|value| has(value.features)),
            _ => false,
        })
    }

    /// Takes out the members and the words that a policy hides, and what a tag has for such a word.
    pub(super) fn hide(&mut self, policy: CompatPolicy) {
        if !policy.hides_anything() {
            return;
        }
        let hidden_cases: Vec<Vec<String>> =
            self.list.iter().map(|one| self.hidden(one, policy)).collect();
        for (one, hidden) in self.list.iter_mut().zip(hidden_cases) {
            match one {
                Type::Object(object) => {
                    object.members.retain(|member| !policy.hides(member.features));
                    if let Some(variants) = &mut object.variants {
                        variants.cases.retain(|(case, _)| !hidden.contains(case));
                    }
                }
                Type::Enum(words) => words.values.retain(|value| !policy.hides(value.features)),
                _ => {}
            }
        }
    }

    /// The values of an object's tag that a policy hides.
    fn hidden(&self, object: &Type, policy: CompatPolicy) -> Vec<String> {
        let Type::Object(Object { variants: Some(variants), .. }) = object else {
            return Vec::new();
        };
        let Type::Enum(words) = self.get(variants.tag_type) else { return Vec::new() };
        let hidden = words.values.iter().filter(|value| policy.hides(value.features));
        hidden.map(|value| value.name.clone()).collect()
    }
}

impl Shape {
    /// All in arguments that is deprecated or unstable and that a policy does not take without a
    /// word. They have been checked, so that each value is of its type.
    pub(in crate::monitor) fn judge(
        &self,
        policy: CompatPolicy,
        arguments: &Map<String, Value>,
    ) -> Vec<CompatFinding> {
        let mut search = Search { types: &self.types, policy, found: Vec::new() };
        if self.has_features
            && !policy.accepts_all_input()
            && let Type::Object(object) = self.types.get(self.root)
        {
            search.object(object, arguments, &Path::Root);
        }
        search.found
    }

    /// Whether a policy hides anything of it.
    pub(in crate::monitor) fn is_touched_by(&self, policy: CompatPolicy) -> bool {
        self.has_features && policy.hides_anything()
    }

    /// Takes the members out of a value that a policy hides.
    pub(in crate::monitor) fn leave_out(&self, policy: CompatPolicy, value: &mut Value) {
        leave_out(&self.types, self.root, policy, value);
    }
}

/// A search. It goes as deep as the value does, which whoever read it from the client has bounded.
struct Search<'t> {
    types: &'t Types,
    policy: CompatPolicy,
    found: Vec<CompatFinding>,
}

impl Search<'_> {
    fn value(&mut self, id: TypeId, value: &Value, path: &Path<'_>) {
        match (self.types.get(id), value) {
            (Type::Enum(words), Value::String(word)) => {
                if let Some(value) = words.values.iter().find(|value| value.name == *word) {
                    self.judge(value.features, || Subject::Value(word.clone()));
                }
            }
            (Type::Array(element), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(*element, item, &Path::Item(path, index));
                }
            }
            (Type::Object(object), Value::Object(members)) => self.object(object, members, path),
            (Type::Alternate(alternate), value) => {
                if let Some(option) = self.types.option(alternate, value) {
                    self.value(option, value, path);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, object: &Object, given: &Map<String, Value>, path: &Path<'_>) {
        self.known(object, given, path);
        let Some(others) = self.types.others(object, given) else { return };
        for (name, value) in given {
            if !self.types.knows(object, name, given) {
                self.value(others, value, &Path::Member(path, name));
            }
        }
    }

    /// Searches the members that the type names.
    fn known(&mut self, object: &Object, given: &Map<String, Value>, path: &Path<'_>) {
        for member in &object.members {
            let Some(value) = given.get(&member.name) else { continue };
            let path = Path::Member(path, &member.name);
            self.judge(member.features, || Subject::Parameter(path.to_string()));
            self.value(member.type_id, value, &path);
        }
        let Some(variants) = &object.variants else { return };
        if let Some(value) = given.get(&variants.tag) {
            self.value(variants.tag_type, value, &Path::Member(path, &variants.tag));
        }
        if let Some(case) = self.types.case(object, given) {
            self.known(case, given, path);
        }
    }

    fn judge(&mut self, features: Features, subject: impl FnOnce() -> Subject) {
        self.found.extend(CompatFinding::of(self.policy, features, None, subject));
    }
}

fn leave_out(types: &Types, id: TypeId, policy: CompatPolicy, value: &mut Value) {
    match (types.get(id), value) {
        (Type::Array(element), Value::Array(items)) => {
            for item in items {
                leave_out(types, *element, policy, item);
            }
        }
        (Type::Object(object), Value::Object(members)) => {
            if let Some(others) = types.others(object, members) {
                let others_of = members.keys().filter(|name| !types.knows(object, name, members));
                for name in others_of.cloned().collect::<Vec<_>>() {
                    if let Some(value) = members.get_mut(&name) {
                        leave_out(types, others, policy, value);
                    }
                }
            }
            members_left_out(types, object, policy, members);
        }
        (Type::Alternate(alternate), value) => {
            if let Some(option) = types.option(alternate, value) {
                leave_out(types, option, policy, value);
            }
        }
        _ => {}
    }
}

/// Takes out those of the members that the type names.
fn members_left_out(
    types: &Types,
    object: &Object,
    policy: CompatPolicy,
    members: &mut Map<String, Value>,
) {
    let case = types.case(object, members);
    for member in &object.members {
        if policy.hides(member.features) {
            members.remove(&member.name);
        } else if let Some(value) = members.get_mut(&member.name) {
            leave_out(types, member.type_id, policy, value);
        }
    }
    if let Some(case) = case {
        members_left_out(types, case, policy, members);
    }
}
