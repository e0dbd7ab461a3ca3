//! Objects, and the handles through which everything but the object itself speaks of them.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use crate::{
    ClassType, Statement, Storage, TreeId, TypeInfo, TypeKind,
    cast::{self, CastTable},
    class::Class,
    configuration::Source,
    instance::Instance,
    link::Links,
    property::PropertyInfo,
    request::Origin,
    type_info::{AbstractClass, Registration, crate_ident},
};

/// The class of all objects. `#[qom_type]` implements it; nobody writes it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a QOM object",
    label = "not an object",
    note = "put `#[qom_type(...)]` on the struct"
)]
pub trait Object: Any + Send + Sync {
    /// The part of the object that the framework owns.
    #[doc(hidden)]
    fn instance(&self) -> &Instance;
}

impl dyn Object {
    /// Ends every list of casts.
    #[doc(hidden)]
    pub fn __casts<T: Object>(table: &mut CastTable) {
        fn put<T: Object>(object: Arc<dyn Object>, slot: &mut dyn Any) {
            cast::put::<T, dyn Object>(object, slot, |object| object);
        }
        table.add::<dyn Object>(put::<T>);
    }
}

const fn root(name: &'static str, description: &'static str, line: u32) -> TypeInfo {
    let statement = Statement {
        crate_name: env!("CARGO_PKG_NAME"),
        crate_ident: crate_ident(module_path!()),
        crate_version: env!("CARGO_PKG_VERSION"),
        file: file!(),
        line,
    };
    TypeInfo::undeclared(name, description, TypeKind::Abstract, statement)
}

#[diagnostic::do_not_recommend]
impl ClassType for dyn Object {
    const INFO: &'static TypeInfo = &root("object", "The class of all objects", line!());
}

#[diagnostic::do_not_recommend]
impl AbstractClass for dyn Object {}

/// The record of the class that all interfaces descend from.
pub(crate) const INTERFACE: &TypeInfo = &root("interface", "The class of all interfaces", line!());

inventory::submit!(Registration(<dyn Object as ClassType>::INFO));
inventory::submit!(Registration(INTERFACE));

/// A handle to an object that a tree made. Trees, buses, links, interrupt lines and threads accept
/// nothing else, and only [`Tree::create`](crate::Tree::create) makes one.
///
/// ```compile_fail,E0451
/// use std::sync::Arc;
/// use qom_core::{Obj, Object};
///
/// fn forge(object: Arc<dyn Object>) -> Obj {
///     Obj { node: todo!() }
/// }
/// ```
#[derive(Clone)]
pub struct Obj {
    node: Arc<Node>,
}

pub(crate) struct Node {
    serial: Serial,
    parts: Parts,
    /// Where the values came from that nobody left at their default.
    sources: Mutex<BTreeMap<&'static str, Source>>,
    complete: AtomicBool,
    place: Mutex<Place>,
}

/// What an object is made of, once it is constructed.
pub(crate) struct Parts {
    pub(crate) class: Arc<Class>,
    // Before the links: it goes first, while they still hold what its own links point to.
    pub(crate) object: Arc<dyn Object>,
    pub(crate) tree: TreeId,
    pub(crate) origin: Origin,
    /// Whether somebody asked for it, rather than a class announcing it.
    pub(crate) requested: bool,
    /// What its links point to.
    pub(crate) links: Links,
}

/// The identity of one object, whose path may later be another's. A later object's is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial(u64);

impl Serial {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where an object stands in its tree.
#[derive(Default)]
struct Place {
    name: String,
    parent: Option<Weak<Node>>,
    attached: bool,
    children: BTreeMap<String, Obj>,
}

impl Obj {
    pub(crate) fn new(parts: Parts, sources: BTreeMap<&'static str, Source>) -> Self {
        Self {
            node: Arc::new(Node {
                serial: Serial::next(),
                parts,
                sources: Mutex::new(sources),
                complete: AtomicBool::new(false),
                place: Mutex::default(),
            }),
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.node.place.lock()
    }

    pub(crate) fn serial(&self) -> Serial {
        self.node.serial
    }

    /// Whether somebody asked for it, rather than a class announcing it.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.node.parts.requested
    }

    /// Where the value of a property came from.
    pub(crate) fn source(&self, property: &str) -> Source {
        let sources = self.node.sources.lock();
        sources.get(property).copied().unwrap_or(Source::Default)
    }

    /// Remembers that somebody gave a property its value.
    pub(crate) fn set_given(&self, property: &'static str) {
        let mut sources = self.node.sources.lock();
        sources.insert(property, Source::Given);
    }

    /// The object's class.
    #[must_use]
    pub fn class(&self) -> &Arc<Class> {
        &self.node.parts.class
    }

    /// The tree that made it.
    #[must_use]
    pub fn tree(&self) -> TreeId {
        self.node.parts.tree
    }

    /// Who asked for it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.node.parts.origin
    }

    /// The object as one of its classes: `handle.cast::<dyn Device>()`.
    #[must_use]
    pub fn cast<C: ?Sized + 'static>(&self) -> Option<Arc<C>> {
        self.class().cast_table()?.cast(self.object())
    }

    /// Whether [`Obj::cast`] to the class with this Rust type would succeed.
    #[must_use]
    pub fn is<C: ?Sized + 'static>(&self) -> bool {
        self.class().cast_table().is_some_and(|table| table.reaches(TypeId::of::<C>()))
    }

    /// Whether both are handles to the same object.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }

    /// Its name in its parent; empty for the root and for what stands in no tree.
    #[must_use]
    pub fn name(&self) -> String {
        self.place().name.clone()
    }

    /// Its canonical path; none once it has left the tree.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let mut names = Vec::new();
        let mut at = self.clone();
        loop {
            let (name, parent) = {
                let place = at.place();
                if !place.attached {
                    return None;
                }
                (place.name.clone(), place.parent.clone())
            };
            let Some(parent) = parent else { break };
            names.push(name);
            at = Self { node: parent.upgrade()? };
        }
        if names.is_empty() {
            return Some("/".to_owned());
        }
        Some(names.iter().rev().fold(String::new(), |path, name| path + "/" + name))
    }

    /// Its children, sorted by name.
    #[must_use]
    pub fn children(&self) -> Vec<(String, Self)> {
        self.place().children.iter().map(|(name, child)| (name.clone(), child.clone())).collect()
    }

    /// The child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<Self> {
        self.place().children.get(name).cloned()
    }

    /// What its links point to, by the name of the property.
    pub fn links(&self) -> impl Iterator<Item = (&'static str, &Self)> {
        self.node.parts.links.iter()
    }

    /// Reads a property. A link gives its target's path. None if there is no such property.
    #[must_use]
    pub fn get(&self, property: &str) -> Option<Value> {
        let (info, _) = self.class().property(property)?;
        Some(self.read(info))
    }

    pub(crate) fn read(&self, info: &PropertyInfo) -> Value {
        if info.link.is_some() {
            let target = self.links().find(|(name, _)| *name == info.name);
            return target.and_then(|(_, target)| target.path()).map_or(Value::Null, Value::String);
        }
        match info.storage {
            Storage::Field { get, .. } => {
                let object: &dyn Any = &**self.object();
                get(object).unwrap_or(Value::Null)
            }
            Storage::Class => self.object().instance().raw(info.name).unwrap_or(Value::Null),
        }
    }

    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        &self.node.parts.object
    }

    /// Whether its creation is finished, so that only live properties can change.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.node.complete.load(Ordering::Acquire)
    }

    pub(crate) fn set_complete(&self, complete: bool) {
        self.node.complete.store(complete, Ordering::Release);
    }

    pub(crate) fn make_root(&self) {
        self.place().attached = true;
    }

    /// Attaches `child` under `name`; false if the name is taken.
    pub(crate) fn attach(&self, name: &str, child: &Self) -> bool {
        let mut place = self.place();
        if place.children.contains_key(name) {
            return false;
        }
        {
            let mut below = child.place();
            below.name = name.to_owned();
            below.parent = Some(Arc::downgrade(&self.node));
            below.attached = true;
        }
        place.children.insert(name.to_owned(), child.clone());
        true
    }

    /// Takes the object out of its parent. Its handle and its children stay valid for whoever holds
    /// them, but have no path.
    pub(crate) fn detach(&self) {
        let (name, parent) = {
            let mut place = self.place();
            place.attached = false;
            (std::mem::take(&mut place.name), place.parent.take())
        };
        if let Some(parent) = parent.and_then(|parent| parent.upgrade()) {
            Self { node: parent }.place().children.remove(&name);
        }
    }

    /// The parent in the tree; none for the root and for what has left the tree.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let parent = self.place().parent.clone()?;
        parent.upgrade().map(|node| Self { node })
    }
}

impl fmt::Debug for Obj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Obj({} at {})", self.class().name(), self.path().as_deref().unwrap_or("no path"))
    }
}
