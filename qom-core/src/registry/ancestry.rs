//! Who descends from whom: the names of parents and interfaces as positions in the registry, and
//! what is wrong with them.
//!
//! Every start of a program pays for this, and a program may have thousands of types. So each name
//! is looked up once, and nothing is allocated for a single type.

use crate::{
    SecurityStatus,
    suggestion::Suggestion,
    type_info::{TypeInfo, TypeKind},
};

use super::RegistryError;

/// Each type's parent and interfaces.
pub(super) struct Ancestry {
    parents: Vec<Option<usize>>,
    /// The interfaces of all types, those of the first type first.
    interfaces: Vec<usize>,
    /// Where the interfaces of each type end.
    ends: Vec<usize>,
}

/// How many names are remembered: parents and interfaces are few beside the types that name them.
const REMEMBERED: usize = 256;

/// Looks names up, faster if one was looked up lately.
struct Names<'a> {
    infos: &'a [&'static TypeInfo],
    /// By the address of a name, which the compiler often shares between all who say it.
    recent: [Option<(&'static str, usize)>; REMEMBERED],
}

impl<'a> Names<'a> {
    const fn of(infos: &'a [&'static TypeInfo]) -> Self {
        Self { infos, recent: [None; REMEMBERED] }
    }

    fn position(&mut self, name: &'static str) -> Option<usize> {
        // A name is several bytes long, so that the lowest bits of addresses tell little.
        let slot = &mut self.recent[(name.as_ptr().addr() >> 3) % REMEMBERED];
        if let Some((recent, position)) = *slot
            && std::ptr::eq(recent, name)
        {
            return Some(position);
        }
        let found = self.infos.binary_search_by(|info| info.name.cmp(name)).ok();
        *slot = found.map(|position| (name, position)).or(*slot);
        found
    }
}

impl Ancestry {
    /// Finds parents and interfaces of types that are sorted by name; reports those that are
    /// missing or no such thing. Complete only if nothing is reported.
    pub(super) fn of(infos: &[&'static TypeInfo], errors: &mut Vec<RegistryError>) -> Self {
        let mut names = Names::of(infos);
        let mut ancestry = Self {
            parents: Vec::with_capacity(infos.len()),
            interfaces: Vec::new(),
            ends: Vec::with_capacity(infos.len()),
        };
        let unknown = |info: &TypeInfo, relation, missing| RegistryError::Unknown {
            name: info.name,
            place: info.statement.into(),
            relation,
            missing,
            suggestion: Suggestion::of(missing, infos.iter().map(|info| info.name)),
        };
        let wrong = |info: &TypeInfo, relation, other: &TypeInfo| RegistryError::Kind {
            name: info.name,
            place: info.statement.into(),
            relation,
            other: other.name,
            found: match other.kind {
                TypeKind::Abstract => "a class, not an interface",
                TypeKind::Interface => "an interface, not a class",
                TypeKind::Concrete(_) => "a concrete type, and those are final",
            },
        };
        for info in infos {
            let parent = info.parent.and_then(|name| {
                let found = names.position(name);
                match found.map(|position| infos[position]) {
                    None => errors.push(unknown(info, "parent", name)),
                    Some(parent) if !matches!(parent.kind, TypeKind::Abstract) => {
                        errors.push(wrong(info, "parent", parent));
                    }
                    Some(_) => {}
                }
                found
            });
            ancestry.parents.push(parent);
            for name in info.interfaces {
                let found = names.position(name);
                match found.map(|position| infos[position]) {
                    None => errors.push(unknown(info, "interface", name)),
                    Some(other) if !matches!(other.kind, TypeKind::Interface) => {
                        errors.push(wrong(info, "interface", other));
                    }
                    Some(_) => {}
                }
                ancestry.interfaces.extend(found);
            }
            ancestry.ends.push(ancestry.interfaces.len());
        }
        ancestry
    }

    /// The parent of a type.
    pub(super) fn parent(&self, of: usize) -> Option<usize> {
        self.parents[of]
    }

    /// The interfaces that a type adds to those of its ancestors.
    pub(super) fn interfaces(&self, of: usize) -> &[usize] {
        let start = of.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.interfaces[start..self.ends[of]]
    }

    /// Reports what is wrong between types that all exist.
    pub(super) fn check(&self, infos: &[&'static TypeInfo], errors: &mut Vec<RegistryError>) {
        let order = self.check_cycles(infos, errors);
        if errors.is_empty() {
            self.check_statuses(infos, errors);
            self.check_properties(infos, &order, errors);
        }
    }

    /// Reports types that are their own ancestor, by parents or by interfaces. All types, each
    /// after those that it descends from, if there is none such.
    fn check_cycles(
        &self,
        infos: &[&'static TypeInfo],
        errors: &mut Vec<RegistryError>,
    ) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; infos.len()];
        let mut order = Vec::with_capacity(infos.len());
        // Depth first with a stack of our own: (type, which of its edges comes next).
        let mut stack = Vec::new();
        for start in 0..infos.len() {
            stack.push((start, 0));
            while let Some((at, edge)) = stack.pop() {
                if edge == 0 {
                    if marks[at] != Mark::New {
                        continue;
                    }
                    marks[at] = Mark::Open;
                }
                let interfaces = self.interfaces(at);
                if edge > interfaces.len() {
                    marks[at] = Mark::Done;
                    order.push(at);
                    continue;
                }
                let next = match edge {
                    0 => self.parents[at],
                    _ => interfaces.get(edge - 1).copied(),
                };
                stack.push((at, edge + 1));
                match next {
                    Some(next) if marks[next] == Mark::Open => {
                        let from = stack.iter().position(|(open, _)| *open == next).unwrap_or(0);
                        let mut chain: Vec<_> =
                            stack[from..].iter().map(|(open, _)| infos[*open].name).collect();
                        chain.push(infos[next].name);
                        errors.push(RegistryError::Cycle {
                            name: infos[next].name,
                            place: infos[next].statement.into(),
                            chain: chain.join(" -> "),
                        });
                    }
                    Some(next) if marks[next] == Mark::New => stack.push((next, 0)),
                    _ => {}
                }
            }
        }
        order
    }

    /// Reports secure types with an insecure class above them.
    fn check_statuses(&self, infos: &[&'static TypeInfo], errors: &mut Vec<RegistryError>) {
        for (position, info) in infos.iter().enumerate() {
            if info.status != SecurityStatus::Secure {
                continue;
            }
            let chain =
                std::iter::successors(self.parents[position], |parent| self.parents[*parent]);
            for ancestor in chain.map(|parent| infos[parent]) {
                if let SecurityStatus::Insecure { reason } = ancestor.status {
                    errors.push(RegistryError::SecureOverInsecure {
                        name: info.name,
                        place: info.statement.into(),
                        ancestor: ancestor.name,
                        ancestor_place: ancestor.statement.into(),
                        reason,
                    });
                }
            }
        }
    }

    /// Reports properties that are declared twice in a type, its ancestors and its interfaces.
    /// `order` has each type after those that it descends from.
    fn check_properties(
        &self,
        infos: &[&'static TypeInfo],
        order: &[usize],
        errors: &mut Vec<RegistryError>,
    ) {
        // Whether a type, an ancestor or an interface of one declares any.
        let mut has = vec![false; infos.len()];
        for &at in order {
            has[at] = !infos[at].properties.is_empty()
                || self.parents[at].is_some_and(|parent| has[parent])
                || self.interfaces(at).iter().any(|interface| has[*interface]);
        }
        let (mut above, mut all, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (position, info) in infos.iter().enumerate() {
            // What comes from above alone was compared there.
            let adds = !info.properties.is_empty()
                || self.interfaces(position).iter().any(|interface| has[*interface]);
            if !adds {
                continue;
            }
            above.clear();
            if let Some(parent) = self.parents[position] {
                self.contributors(parent, &has, &mut above);
            }
            self.contributors(position, &has, &mut all);
            seen.clear();
            for declaring in above.iter().map(|at| infos[*at]) {
                let names = declaring.properties.iter().map(|property| property.name);
                seen.extend(names.map(|property| (property, declaring.name)));
            }
            for at in all.iter().filter(|at| above.binary_search(at).is_err()) {
                for property in infos[*at].properties.iter().map(|property| property.name) {
                    // Few: to compare with each is cheaper than to keep them sorted.
                    let known = seen.iter_mut().find(|(name, _)| *name == property);
                    let Some((_, declared_by)) = known else {
                        seen.push((property, infos[*at].name));
                        continue;
                    };
                    let other = std::mem::replace(declared_by, infos[*at].name);
                    errors.push(RegistryError::DuplicateProperty {
                        name: info.name,
                        place: info.statement.into(),
                        property,
                        other,
                    });
                }
            }
        }
    }

    /// Puts the positions of a type, of its ancestors, and of all interfaces that one of them
    /// offers into `found`, sorted; without those that bring no property. No walk without end:
    /// there is no cycle.
    fn contributors(&self, of: usize, has: &[bool], found: &mut Vec<usize>) {
        found.clear();
        found.push(of);
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            for reached in self.parents[at].iter().chain(self.interfaces(at)) {
                if has[*reached] && !found.contains(reached) {
                    found.push(*reached);
                }
            }
        }
        found.sort_unstable();
    }
}
