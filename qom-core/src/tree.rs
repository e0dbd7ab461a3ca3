//! The tree of all objects of one VM: the one way in, and the policy that watches it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    ClassType, Container, TreeId,
    class::Class,
    configuration::{Configuration, Setting, Source},
    error::{
        BoxedError, CreateError, ForeignError, PathError, PlanError, RaiseError, RemoveError,
        SetError,
    },
    global::Globals,
    instance::Construction,
    object::Obj,
    path,
    permit::{Permit, PermitError},
    plan::{LinkTarget, ParentRef, Plan, Planned, Planner, checked},
    policy::{Action, Policy, PolicyStatement},
    property::{Access, Storage},
    registry::Registry,
    request::{Origin, Request},
    taint::Taint,
    value::Given,
    verdict::{Finding, judge},
};

/// What gives a constructed object its work: realizes a device, binds a backend. The tree calls it
/// for each object of a plan, in the plan's order, after all of them are constructed and attached.
pub trait Completion {
    /// Lets the object take up its work.
    ///
    /// # Errors
    /// If it can't. Then it has undone its own part, and the tree undoes the rest of the plan.
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError>;

    /// Takes back what [`Completion::complete`] did, of an object that is about to go.
    fn undo(&mut self, object: &Obj);
}

/// Completes nothing, for objects that only are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCompletion;

impl Completion for NoCompletion {
    fn complete(&mut self, _: &Obj) -> Result<(), BoxedError> {
        Ok(())
    }

    fn undo(&mut self, _: &Obj) {}
}

/// What a plan became.
#[derive(Debug)]
pub struct Created {
    /// The objects, in the order of the plan.
    pub objects: Vec<Obj>,
    /// What of them require-secure would have refused.
    pub findings: Vec<Finding>,
}

/// The tree of the objects of one VM.
pub struct Tree {
    id: TreeId,
    registry: Arc<Registry>,
    globals: Globals,
    root: Obj,
    state: Mutex<State>,
}

/// What changes together: whoever holds it decides alone what exists and under which policy.
struct State {
    policy: Policy,
    taints: Vec<Taint>,
}

impl Tree {
    /// An empty tree.
    ///
    /// # Errors
    /// If the registry lacks the type of the root, `container`.
    pub fn new(
        registry: Arc<Registry>,
        policy: Policy,
        globals: Globals,
    ) -> Result<Self, CreateError> {
        let id = TreeId::next();
        let origin = Origin::new("the root of the object tree");
        let class = registry.class(Container::INFO.name).map(Arc::clone).ok_or_else(|| {
            CreateError::Plan {
                origin: origin.clone(),
                error: PlanError::UnknownType {
                    name: Container::INFO.name.to_owned(),
                    suggestion: crate::Suggestion::default(),
                },
            }
        })?;
        let root = construct(id, &class, BTreeMap::new(), BTreeMap::new(), &origin)?;
        root.make_root();
        root.set_complete(true);
        let state = Mutex::new(State { policy, taints: Vec::new() });
        Ok(Self { id, registry, globals, root, state })
    }

    /// The tree's identity.
    #[must_use]
    pub const fn id(&self) -> TreeId {
        self.id
    }

    /// The types that it makes objects of.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The global settings.
    #[must_use]
    pub const fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> &Obj {
        &self.root
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.state().policy
    }

    /// Everything that exists or existed although require-secure would have refused it, in the
    /// order in which it came. The VM is tainted if there is anything.
    #[must_use]
    pub fn taints(&self) -> Vec<Taint> {
        self.state().taints.clone()
    }

    /// Raises the policy.
    ///
    /// # Errors
    /// If that would loosen it, or something exists that it would refuse.
    pub fn raise(&self, statement: PolicyStatement) -> Result<Policy, RaiseError> {
        let mut state = self.state();
        let policy = state.policy.raised(statement)?;
        let live = state.taints.iter().filter(|taint| !taint.removed);
        for taint in live {
            let refused = match taint.cause.property() {
                Some(_) => policy.insecure(),
                None => policy.action(taint.cause.status()),
            } == Action::Refuse;
            if refused {
                return Err(RaiseError::Contradicted {
                    path: taint.cause.path().to_owned(),
                    refusal: Box::new(taint.cause.clone()),
                });
            }
        }
        state.policy = policy;
        Ok(policy)
    }

    /// Works out what requests would create. Nothing is created.
    ///
    /// # Errors
    /// If a request can't be planned.
    pub fn plan(&self, requests: impl IntoIterator<Item = Request>) -> Result<Plan, CreateError> {
        let resolve = |path: &str| self.resolve(path);
        let mut planner =
            Planner::new(&self.registry, &self.globals, self.id, &self.root, &resolve);
        for request in requests {
            planner.request(request)?;
        }
        Ok(planner.finish())
    }

    /// Plans requests and creates what they ask for.
    ///
    /// # Errors
    /// If a request can't be planned, the policy refuses anything, or an object fails to take up
    /// its work. Nothing is left of it then.
    pub fn create(
        &self,
        requests: impl IntoIterator<Item = Request>,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        let plan = self.plan(requests)?;
        self.create_planned(plan, completion)
    }

    /// Creates what a plan of this tree holds: judges all of it, constructs and attaches each
    /// object, then completes each.
    ///
    /// # Errors
    /// As [`Tree::create`].
    pub fn create_planned(
        &self,
        plan: Plan,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        self.execute(plan, None, completion)
    }

    /// A permit for one object of that type, if the policy lets the type be.
    ///
    /// # Errors
    /// If there is no such concrete type, or the policy refuses it.
    pub fn permit(&self, type_name: &str) -> Result<Permit, CreateError> {
        let plan = self.plan([Request::new(type_name, "/", "permit")])?;
        self.refuse(&plan.judge(self.policy())?)?;
        let class = plan.objects()[0].class();
        Ok(Permit::new(self.id, class.type_id().unwrap_or_else(|| unknown(class)), class.name()))
    }

    /// Creates one object with a permit that was minted before.
    ///
    /// # Errors
    /// If the permit is for another type or another tree, or as [`Tree::create`].
    pub fn create_permitted(&self, permit: Permit, request: Request) -> Result<Obj, CreateError> {
        let plan = self.plan([request])?;
        let position = plan.objects().iter().position(Planned::is_requested).unwrap_or(0);
        let mut created = self.execute(plan, Some((position, permit)), &mut NoCompletion)?;
        Ok(created.objects.swap_remove(position))
    }

    fn refuse(&self, findings: &[Finding]) -> Result<(), CreateError> {
        let refusals: Vec<_> = findings
            .iter()
            .filter(|finding| finding.action == Action::Refuse)
            .map(|finding| finding.refusal.clone())
            .collect();
        if refusals.is_empty() { Ok(()) } else { Err(CreateError::Refused(refusals)) }
    }

    fn execute(
        &self,
        plan: Plan,
        mut permit: Option<(usize, Permit)>,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        if plan.tree() != self.id {
            return Err(ForeignError { what: "the plan".to_owned() }.into());
        }
        // Held to the end, so that no raise of the policy comes between judging and being.
        let mut state = self.state();
        let findings = plan.judge(state.policy)?;
        self.refuse(&findings)?;
        let mut objects: Vec<Obj> = Vec::with_capacity(plan.objects().len());
        let built = self.build(&plan, &mut permit, &mut objects);
        let completed = built.and_then(|()| complete(&plan, &objects, completion));
        if let Err(error) = completed {
            for object in objects.iter().rev() {
                object.detach();
            }
            return Err(error);
        }
        state.taints.extend(
            findings.iter().map(|finding| Taint { cause: finding.refusal.clone(), removed: false }),
        );
        Ok(Created { objects, findings })
    }

    /// Constructs and attaches each object of the plan.
    fn build(
        &self,
        plan: &Plan,
        permit: &mut Option<(usize, Permit)>,
        objects: &mut Vec<Obj>,
    ) -> Result<(), CreateError> {
        for (position, planned) in plan.objects().iter().enumerate() {
            let links = planned
                .links()
                .iter()
                .map(|(name, target)| match target {
                    LinkTarget::Existing(object) => (*name, object.clone()),
                    LinkTarget::Planned(at) => (*name, objects[*at].clone()),
                })
                .collect::<BTreeMap<_, _>>();
            let class = planned.class();
            let object = match permit.take() {
                Some((at, permit)) if at == position => construct_with(
                    permit,
                    self.id,
                    class,
                    planned.values(),
                    links,
                    planned.origin(),
                )?,
                other => {
                    *permit = other;
                    construct(self.id, class, planned.values(), links, planned.origin())?
                }
            };
            let parent = match planned.parent() {
                ParentRef::Existing(object) => object,
                ParentRef::Planned(at) => &objects[*at],
            };
            if !parent.attach(planned.name(), &object) {
                return Err(CreateError::Plan {
                    origin: planned.origin().clone(),
                    error: PlanError::Duplicate {
                        name: planned.name().to_owned(),
                        parent: parent.class().name(),
                    },
                });
            }
            objects.push(object);
        }
        Ok(())
    }

    /// Removes an object that was asked for, with all that it brought.
    ///
    /// # Errors
    /// If it is in use, a part of another, of another tree, or gone already.
    pub fn remove(&self, object: &Obj, completion: &mut dyn Completion) -> Result<(), RemoveError> {
        self.own(object)?;
        let mut state = self.state();
        let Some(path) = object.path() else {
            return Err(RemoveError::Absent { class: object.class().name() });
        };
        match object.parent() {
            Some(parent) if parent.class().name() != Container::INFO.name => {
                let owner = parent.path().unwrap_or_default();
                return Err(RemoveError::Part { path, owner });
            }
            Some(_) => {}
            None => {
                return Err(RemoveError::Part { path, owner: "/".to_owned() });
            }
        }
        let going = path::descendants(object);
        let users = path::descendants(&self.root);
        for user in users.iter().filter(|user| !going.iter().any(|going| going.same(user))) {
            if user.links().any(|(_, target)| going.iter().any(|going| going.same(target))) {
                return Err(RemoveError::InUse { path, user: user.path().unwrap_or_default() });
            }
        }
        let paths: Vec<_> = going.iter().filter_map(Obj::path).collect();
        for object in going.iter().rev() {
            if object.is_complete() {
                object.set_complete(false);
                completion.undo(object);
            }
        }
        object.detach();
        for taint in &mut state.taints {
            if paths.iter().any(|path| path == taint.cause.path()) {
                taint.removed = true;
            }
        }
        Ok(())
    }

    /// Undoes and detaches everything, the last created first. For the end of a VM.
    pub fn clear(&self, completion: &mut dyn Completion) {
        let all = path::descendants(&self.root);
        for object in all.iter().rev() {
            if !object.same(&self.root) && object.is_complete() {
                object.set_complete(false);
                completion.undo(object);
            }
        }
        for (_, child) in self.root.children() {
            child.detach();
        }
    }

    /// Writes a live property of a living object, after judging what the object would then be.
    ///
    /// # Errors
    /// If the property can't be written or not now, the value is bad, or the policy refuses it.
    pub fn set(
        &self,
        object: &Obj,
        property: &str,
        value: &Given,
    ) -> Result<Vec<Finding>, SetError> {
        self.own(object)?;
        let class = object.class();
        let (info, value) = checked(class, property, value)?;
        if info.access != Access::Live {
            return Err(PlanError::Fixed { class: class.name(), property: info.name }.into());
        }
        let mut state = self.state();
        let before = configured(object, None);
        let after = configured(object, Some((info.name, value.clone())));
        let path = object.path().unwrap_or_default();
        let judged = |settings: &BTreeMap<_, _>| {
            let links = object
                .links()
                .map(|(name, target)| (name, LinkTarget::Existing(target.clone())))
                .collect();
            let configuration = Configuration {
                class,
                path: &path,
                settings,
                links: &links,
                planned: &[],
                registry: &self.registry,
            };
            judge(state.policy, &configuration, object.origin())
        };
        let old = judged(&before)?;
        let new: Vec<_> = judged(&after)?.into_iter().filter(|find| !old.contains(find)).collect();
        if let Some(refused) = new.iter().find(|finding| finding.action == Action::Refuse) {
            return Err(SetError::Refused(refused.refusal.clone()));
        }
        match info.storage {
            Storage::Field { set: Some(set), .. } => {
                let any: &dyn std::any::Any = &**object.object();
                set(any, &value).map_err(|source| PlanError::Value {
                    property: info.name.to_owned(),
                    source,
                })?;
            }
            Storage::Field { set: None, .. } => {
                return Err(PlanError::Fixed { class: class.name(), property: info.name }.into());
            }
            Storage::Class => {
                object.object().instance().set_raw(info.name, value);
            }
        }
        state.taints.extend(
            new.iter().map(|finding| Taint { cause: finding.refusal.clone(), removed: false }),
        );
        Ok(new)
    }

    /// The object at a canonical path, or the only one that a partial path fits.
    ///
    /// # Errors
    /// If there is none, or a partial path fits several.
    pub fn resolve(&self, path: &str) -> Result<Obj, PathError> {
        path::resolve(&self.root, path)
    }

    /// Every object of the tree, parents first and siblings sorted by name.
    #[must_use]
    pub fn walk(&self) -> Vec<Obj> {
        path::descendants(&self.root)
    }

    /// Checks that a handle is one of this tree's.
    ///
    /// # Errors
    /// If it is another's.
    pub fn own(&self, object: &Obj) -> Result<(), ForeignError> {
        if object.tree() == self.id {
            return Ok(());
        }
        Err(ForeignError { what: format!("the object of type '{}'", object.class().name()) })
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("id", &self.id).finish_non_exhaustive()
    }
}

fn complete(
    plan: &Plan,
    objects: &[Obj],
    completion: &mut dyn Completion,
) -> Result<(), CreateError> {
    for (position, object) in objects.iter().enumerate() {
        if let Err(error) = completion.complete(object) {
            for done in objects[..position].iter().rev() {
                done.set_complete(false);
                completion.undo(done);
            }
            let planned = &plan.objects()[position];
            return Err(CreateError::Complete {
                origin: planned.origin().clone(),
                path: planned.path().to_owned(),
                error,
            });
        }
        object.set_complete(true);
    }
    Ok(())
}

fn construct(
    tree: TreeId,
    class: &Arc<Class>,
    values: BTreeMap<&'static str, Value>,
    links: BTreeMap<&'static str, Obj>,
    origin: &Origin,
) -> Result<Obj, CreateError> {
    let type_id = class.type_id().unwrap_or_else(|| unknown(class));
    let permit = Permit::new(tree, type_id, class.name());
    construct_with(permit, tree, class, values, links, origin)
}

fn construct_with(
    permit: Permit,
    tree: TreeId,
    class: &Arc<Class>,
    values: BTreeMap<&'static str, Value>,
    links: BTreeMap<&'static str, Obj>,
    origin: &Origin,
) -> Result<Obj, CreateError> {
    let Some(implementation) = class.implementation() else {
        return Err(CreateError::Plan {
            origin: origin.clone(),
            error: PlanError::Abstract { name: class.name() },
        });
    };
    // Checked here too, so that the message has the type's name and not Rust's.
    if permit.type_name() != class.name() {
        let (permitted, requested) = (permit.type_name(), class.name());
        return Err(PermitError::Type { permitted, requested }.into());
    }
    let mut construction = Construction::new(Arc::clone(class), tree, values, links.clone());
    let object = (implementation.construct)(permit, &mut construction)
        .map_err(|error| CreateError::Construct { origin: origin.clone(), error })?;
    Ok(Obj::new(Arc::clone(class), object, tree, origin.clone(), links))
}

/// The `TypeId` of nothing that can be constructed: for an abstract class, which fails right after.
fn unknown(_: &Class) -> std::any::TypeId {
    std::any::TypeId::of::<std::convert::Infallible>()
}

/// The settings of a living object, one of them replaced.
fn configured(
    object: &Obj,
    change: Option<(&'static str, Value)>,
) -> BTreeMap<&'static str, Setting> {
    let mut settings: BTreeMap<_, _> = object
        .class()
        .properties()
        .map(|(info, _)| (info.name, Setting { value: object.read(info), source: Source::Given }))
        .collect();
    if let Some((name, value)) = change {
        settings.insert(name, Setting { value, source: Source::Given });
    }
    settings
}
