//! The order in which objects can be created that are asked about in any order.

use std::collections::BTreeSet;

use device_model::qom_core::Value;

use super::would_be::{Kind, WouldBeObject};

/// Positions of the objects, in the order of creation: the accelerator, what machine and devices may
/// use, the machine, its devices; each after those of its kind or an earlier one that it names. The
/// order that they were given in holds otherwise.
pub(super) fn of_creation(objects: &[WouldBeObject]) -> Vec<usize> {
    let mut ranked: Vec<_> = (0..objects.len()).collect();
    ranked.sort_by_key(|index| rank(objects[*index].kind));
    let named: Vec<_> = objects.iter().map(names).collect();
    let mut order = Order {
        objects,
        named: &named,
        ranked: &ranked,
        seen: vec![false; objects.len()],
        done: Vec::new(),
    };
    for index in &ranked {
        order.visit(*index);
    }
    order.done
}

const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Accel => 0,
        Kind::Object | Kind::Chardev | Kind::Netdev | Kind::Blockdev => 1,
        Kind::Machine => 2,
        Kind::Device => 3,
    }
}

struct Order<'a> {
    objects: &'a [WouldBeObject],
    named: &'a [BTreeSet<&'a str>],
    ranked: &'a [usize],
    seen: Vec<bool>,
    done: Vec<usize>,
}

impl Order<'_> {
    /// Puts an object behind those that it names. It goes no deeper than there are objects; of those
    /// that name each other, one comes first, and its link leads nowhere.
    fn visit(&mut self, index: usize) {
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        for other in self.ranked {
            if rank(self.objects[*other].kind) <= rank(self.objects[index].kind)
                && self.name(index, *other)
            {
                self.visit(*other);
            }
        }
        self.done.push(index);
    }

    /// Whether an object is given the id of another, or its path. One that is given the same text for
    /// another reason only comes later than it could.
    fn name(&self, index: usize, other: usize) -> bool {
        let (named, object) = (&self.named[index], &self.objects[other]);
        let Some(id) = object.id() else { return false };
        let path = object.kind.container().map(|container| format!("{container}/{id}"));
        named.contains(id) || path.is_some_and(|path| named.contains(&*path))
    }
}

/// All texts among the values that an object is given.
fn names(object: &WouldBeObject) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = object.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                found.insert(&**text);
            }
            Value::Array(elements) => open.extend(elements),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    found
}
