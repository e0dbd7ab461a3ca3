//! Working requests out: defaults, globals, links and children, against the tree as it is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    Children, ClassType, Container, Obj, TreeId,
    class::Class,
    configuration::{Context, Setting, Source, Surroundings},
    error::{CreateError, PathError, PlanError},
    global::Globals,
    path,
    plan::{LinkTarget, ParentRef, Plan, Planned},
    property::{Access, PropertyInfo},
    registry::Registry,
    request::{ChildRequest, Origin, Origins, Request},
    suggestion::Suggestion,
    value::Given,
};

/// Objects in one plan; a class that announces itself ends here.
pub(crate) const MOST_OBJECTS: usize = 65_536;
/// Steps from the root to an object.
const MOST_LEVELS: usize = 64;

/// Works requests out against the tree as it is.
pub(crate) struct Planner<'a> {
    registry: &'a Arc<Registry>,
    context: Option<&'a Arc<Context>>,
    globals: &'a Globals,
    tree: TreeId,
    root: &'a Obj,
    resolve: &'a dyn Fn(&str) -> Result<Obj, PathError>,
    objects: Vec<Planned>,
    by_path: HashMap<String, usize>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        registry: &'a Arc<Registry>,
        context: Option<&'a Arc<Context>>,
        globals: &'a Globals,
        tree: TreeId,
        root: &'a Obj,
        resolve: &'a dyn Fn(&str) -> Result<Obj, PathError>,
    ) -> Self {
        Self {
            registry,
            context,
            globals,
            tree,
            root,
            resolve,
            objects: Vec::new(),
            by_path: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> Plan {
        Plan {
            tree: self.tree,
            registry: Arc::clone(self.registry),
            context: self.context.cloned(),
            objects: self.objects,
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> Result<(), CreateError> {
        let Request { type_name, parent, name, properties, origins } = request;
        check_name(&name).map_err(|error| located(&origins, error))?;
        let (parent, parent_path) = self.container(&parent, origins.object())?;
        let path = format!("{parent_path}/{name}");
        self.object(&type_name, path, parent, properties, origins, true)
    }

    /// The container at that path, and its canonical path, which is empty for the root; those that
    /// are missing are planned too.
    fn container(
        &mut self,
        path: &str,
        origin: &Origin,
    ) -> Result<(ParentRef, String), CreateError> {
        let wrong = |error| CreateError::Plan { origin: origin.clone(), error };
        let mut at = ParentRef::Existing(self.root.clone());
        let mut so_far = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            so_far = so_far + "/" + name;
            let existing = match &at {
                ParentRef::Existing(object) => object.child(name).map(ParentRef::Existing),
                ParentRef::Planned(_) => None,
            };
            let planned = self.by_path.get(&so_far).map(|position| ParentRef::Planned(*position));
            at = match existing.or(planned) {
                Some(found) => found,
                None => {
                    self.require_container(&at).map_err(wrong)?;
                    check_name(name).map_err(wrong)?;
                    self.object(
                        Container::INFO.name,
                        so_far.clone(),
                        at,
                        Vec::new(),
                        Origins::all(origin.clone()),
                        false,
                    )?;
                    ParentRef::Planned(self.objects.len() - 1)
                }
            };
        }
        self.require_container(&at).map_err(wrong)?;
        Ok((at, so_far))
    }

    /// What a class announces are all the children that its objects have; only containers take more.
    fn require_container(&self, parent: &ParentRef) -> Result<(), PlanError> {
        let class = self.class_of(parent);
        if class.name() == Container::INFO.name {
            return Ok(());
        }
        let parent = match parent {
            ParentRef::Existing(object) => object.path().unwrap_or_default(),
            ParentRef::Planned(position) => self.objects[*position].path.clone(),
        };
        Err(PlanError::Unannounced { parent, class: class.name() })
    }

    fn class_of(&self, parent: &ParentRef) -> Arc<Class> {
        match parent {
            ParentRef::Existing(object) => Arc::clone(object.class()),
            ParentRef::Planned(position) => Arc::clone(&self.objects[*position].class),
        }
    }

    /// Plans one object and then what its class announces for it.
    fn object(
        &mut self,
        type_name: &str,
        path: String,
        parent: ParentRef,
        properties: Vec<(String, Given)>,
        mut origins: Origins,
        requested: bool,
    ) -> Result<(), CreateError> {
        let position = self
            .place(type_name, path, parent, properties, &mut origins, requested)
            .map_err(|error| located(&origins, error))?;
        for child in self.announced(position).map_err(|error| located(&origins, error))? {
            let child_origins = Origins::all(origins.of(child.because_of).clone());
            child
                .name
                .split('/')
                .try_for_each(check_name)
                .map_err(|error| located(&child_origins, error))?;
            let child_path = format!("{}/{}", self.objects[position].path, child.name);
            let above = child_path.rsplit_once('/').map_or("", |(above, _)| above);
            let parent = ParentRef::Planned(self.by_path.get(above).copied().unwrap_or(position));
            let ChildRequest { type_name, properties, .. } = child;
            self.object(&type_name, child_path, parent, properties, child_origins, false)?;
        }
        Ok(())
    }

    /// Plans one object alone, and tells its position.
    fn place(
        &mut self,
        type_name: &str,
        path: String,
        parent: ParentRef,
        properties: Vec<(String, Given)>,
        origins: &mut Origins,
        requested: bool,
    ) -> Result<usize, PlanError> {
        if self.objects.len() >= MOST_OBJECTS {
            return Err(PlanError::TooLarge { limit: "65536 objects", path });
        }
        if path.matches('/').count() > MOST_LEVELS {
            return Err(PlanError::TooLarge { limit: "64 levels", path });
        }
        let class = self
            .registry
            .class(type_name)
            .ok_or_else(|| PlanError::unknown_type(self.registry, type_name))?;
        if class.is_abstract() {
            return Err(PlanError::Abstract { name: class.name() });
        }
        let class = Arc::clone(class);
        let name = path.rsplit_once('/').map_or(&*path, |(_, name)| name);
        // Children are properties too: a name stands for one thing.
        let taken = match &parent {
            ParentRef::Existing(object) => {
                object.child(name).is_some() || object.class().property(name).is_some()
            }
            ParentRef::Planned(at) => self.objects[*at].class().property(name).is_some(),
        };
        if taken || self.by_path.contains_key(&path) {
            return Err(PlanError::Duplicate {
                name: name.to_owned(),
                parent: self.class_of(&parent).name(),
            });
        }
        let mut settings = self.settings(&class, properties, origins)?;
        let links = self.links(&class, &path, &mut settings)?;
        let position = self.objects.len();
        self.by_path.insert(path.clone(), position);
        let origins = origins.clone();
        self.objects.push(Planned { class, path, parent, origins, requested, settings, links });
        Ok(position)
    }

    /// What the class of a planned object announces for it.
    fn announced(&self, position: usize) -> Result<Vec<ChildRequest>, PlanError> {
        let planned = &self.objects[position];
        let announce = planned.class.implementation().and_then(|found| found.children);
        let Some(announce) = announce else {
            return Ok(Vec::new());
        };
        let mut children = Children::of(planned.path.clone());
        let context = self.context.map(|context| &**context);
        let surroundings = Surroundings { registry: self.registry, context };
        announce(&planned.configuration(&self.objects, surroundings), &mut children)?;
        children.into_requests().ok_or_else(|| PlanError::TooLarge {
            limit: "65536 objects",
            path: planned.path.clone(),
        })
    }

    /// Defaults, then global settings, then what was given.
    fn settings(
        &self,
        class: &Arc<Class>,
        properties: Vec<(String, Given)>,
        origins: &mut Origins,
    ) -> Result<BTreeMap<&'static str, Setting>, PlanError> {
        // Whoever gives a value is named for it, even if a global setting is for it too.
        let given_by = origins.clone();
        let mut settings: BTreeMap<&'static str, Setting> = class
            .properties()
            .filter(|(info, _)| info.access != Access::Computed)
            .map(|(info, _)| {
                (info.name, Setting { value: info.default_value(), source: Source::Default })
            })
            .collect();
        for (global, given) in self.globals.of(class) {
            let (info, value) = checked(class, &global.property, given).map_err(|source| {
                let origin = global.origin().cloned();
                PlanError::Global { global: global.to_string(), origin, source: Box::new(source) }
            })?;
            match global.origin() {
                Some(origin) => origins.set(info.name, origin.clone()),
                None => origins.clear(info.name),
            }
            settings.insert(info.name, Setting { value, source: Source::Global });
        }
        for (property, given) in &properties {
            origins.set(property, given_by.of(Some(property)).clone());
            let (info, value) = checked(class, property, given)?;
            settings.insert(info.name, Setting { value, source: Source::Given });
        }
        for (info, _) in class.properties() {
            let unset =
                settings.get(info.name).is_some_and(|setting| setting.source == Source::Default);
            let null = settings.get(info.name).is_some_and(|setting| setting.value.is_null());
            if info.required && (unset || info.link.is_some() && null) {
                return Err(PlanError::Missing { property: info.name });
            }
        }
        Ok(settings)
    }

    /// Finds what the links point to, and writes its canonical path into the settings, as it will
    /// be read from the object.
    fn links(
        &self,
        class: &Class,
        path: &str,
        settings: &mut BTreeMap<&'static str, Setting>,
    ) -> Result<BTreeMap<&'static str, LinkTarget>, PlanError> {
        let mut links = BTreeMap::new();
        for (info, _) in class.properties() {
            let Some(expected) = info.link else { continue };
            let Some(setting) = settings.get_mut(info.name) else { continue };
            let Value::String(target) = &setting.value else { continue };
            let found = self.find(info, target)?;
            let (found_class, found_path) = match &found {
                LinkTarget::Existing(object) => (object.class(), object.path().unwrap_or_default()),
                LinkTarget::Planned(position) => {
                    let planned = &self.objects[*position];
                    (&planned.class, planned.path.clone())
                }
            };
            if !found_class.is_a(expected) {
                return Err(PlanError::LinkClass {
                    property: info.name,
                    expected,
                    found: found_class.name(),
                });
            }
            let below = found_path.trim_end_matches('/');
            if path.strip_prefix(below).is_some_and(|rest| rest.starts_with('/')) {
                return Err(PlanError::LinkAncestor {
                    property: info.name,
                    target: target.clone(),
                });
            }
            setting.value = Value::String(found_path);
            links.insert(info.name, found);
        }
        Ok(links)
    }

    /// An absolute path, or a partial one that fits one object of the plan and the tree together.
    fn find(&self, info: &PropertyInfo, target: &str) -> Result<LinkTarget, PlanError> {
        let ambiguous = || PlanError::Ambiguous { path: target.to_owned() };
        let planned = if target.starts_with('/') {
            self.by_path.get(&canonical(target)).copied()
        } else {
            let tail = format!("/{target}");
            let mut fitting =
                (0..self.objects.len()).filter(|at| self.objects[*at].path.ends_with(&tail));
            let first = fitting.next();
            if fitting.next().is_some() {
                return Err(ambiguous());
            }
            first
        };
        match ((self.resolve)(target), planned) {
            (Ok(object), None) => Ok(LinkTarget::Existing(object)),
            (Err(PathError::NotFound(_)), Some(position)) => Ok(LinkTarget::Planned(position)),
            (Err(PathError::NotFound(_)), None) => Err(PlanError::LinkMissing {
                property: info.name,
                target: target.to_owned(),
                suggestion: self.suggest_target(target),
            }),
            (Ok(_), Some(_)) | (Err(PathError::Ambiguous(_)), _) => Err(ambiguous()),
        }
    }

    /// The path or name most like one that leads nowhere, of what exists and what is planned.
    fn suggest_target(&self, target: &str) -> Suggestion {
        let existing = path::descendants(self.root);
        let existing = existing.iter().filter_map(Obj::path);
        let paths: Vec<_> =
            existing.chain(self.objects.iter().map(|planned| planned.path.clone())).collect();
        let names = paths.iter().map(|path| match target.starts_with('/') {
            true => path,
            false => path.rsplit_once('/').map_or(&**path, |(_, name)| name),
        });
        Suggestion::of(target, names)
    }
}

/// The absolute path without empty parts.
fn canonical(path: &str) -> String {
    path.split('/')
        .filter(|name| !name.is_empty())
        .fold(String::new(), |so_far, name| so_far + "/" + name)
}

/// An error with who asked for what it is about.
fn located(origins: &Origins, error: PlanError) -> CreateError {
    if let PlanError::Global { origin: Some(origin), source, .. } = error {
        return CreateError::Plan { origin, error: *source };
    }
    CreateError::Plan { origin: origins.of(error.property()).clone(), error }
}

/// Finds a property and checks a value for it.
pub(crate) fn checked(
    class: &Class,
    property: &str,
    given: &Given,
) -> Result<(&'static PropertyInfo, Value), PlanError> {
    let (info, _) =
        class.property(property).ok_or_else(|| PlanError::unknown_property(class, property))?;
    if info.access == Access::Computed {
        return Err(PlanError::ReadOnly { class: class.name(), property: info.name });
    }
    // Nothing to point to, in either form.
    if info.link.is_some() && (*given == Given::Json(Value::Null) || given.as_text() == Some("")) {
        return Ok((info, Value::Null));
    }
    let value = info.parse(given).map_err(|source| PlanError::Value {
        property: property.to_owned(),
        source: Box::new(source),
    })?;
    Ok((info, value))
}

fn check_name(name: &str) -> Result<(), PlanError> {
    let fits = (1..=255).contains(&name.len())
        && !name.contains('/')
        && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(PlanError::Name { name: name.escape_debug().to_string() }) }
}
