//! What an object holds once it has taken up its work: it is judged by that, and no longer by what
//! its properties name.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use qom_core::{
    Action::Warn,
    BoxedError, Completion, Configuration, CreateError, Globals,
    InsecureTypes::{Accept, Warn as WarnTypes},
    NoCompletion, Obj, Object, PlanError, Policy,
    PolicyStatement::{self, InsecureTypes, RequireSecure},
    Registry, Request, Tree, qom_type,
};

/// What names stand for at the moment.
#[derive(Default)]
struct Names {
    lead_astray: AtomicBool,
}

/// An object that opens what its property names.
#[qom_type(secure, parent = Object)]
struct Opener {
    /// The name.
    #[property(
        default = "door",
        insecure_when(leads_astray, reason = "nobody knows what is behind it")
    )]
    name: String,
    opened: AtomicBool,
    holds_bad: AtomicBool,
    broken: AtomicBool,
}

fn leads_astray(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let living = configuration.object().and_then(Obj::cast::<Opener>);
    match living.filter(|living| living.opened.load(Ordering::SeqCst)) {
        Some(living) if living.broken.load(Ordering::SeqCst) => {
            Err(PlanError::refused("name", "can't look at it"))
        }
        Some(living) => Ok(living.holds_bad.load(Ordering::SeqCst)),
        None => {
            let names = configuration.context::<Names>();
            Ok(names.is_some_and(|names| names.lead_astray.load(Ordering::SeqCst)))
        }
    }
}

/// Opens, and tells what was undone.
#[derive(Default)]
struct Opening {
    finds_bad: bool,
    breaks: bool,
    undone: Vec<String>,
}

impl Completion for Opening {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        if let Some(opener) = object.cast::<Opener>() {
            // Only the second of two finds something else than was planned.
            let last = opener.name != "first";
            opener.holds_bad.store(self.finds_bad && last, Ordering::SeqCst);
            opener.broken.store(self.breaks && last, Ordering::SeqCst);
            opener.opened.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn undo(&mut self, object: &Obj) {
        self.undone.extend(object.path());
    }
}

fn tree(statements: &[PolicyStatement]) -> (Tree, Arc<Names>) {
    let registry = Registry::global().expect("the types are in order");
    let names = Arc::<Names>::default();
    let tree = Tree::new(Arc::clone(registry), Policy::of(statements), Globals::default());
    (tree.expect("it is empty").with_context(Arc::clone(&names)), names)
}

fn two() -> [Request; 2] {
    [
        Request::new("opener", "/", "a").set("name", "first"),
        Request::new("opener", "/", "b").set("name", "second"),
    ]
}

#[test]
fn a_judge_asks_what_the_tree_was_given_before_anything_is_done() {
    let (tree, names) = tree(&[]);
    names.lead_astray.store(true, Ordering::SeqCst);
    let mut opening = Opening::default();
    let error = tree.create(two(), &mut opening).unwrap_err();
    assert!(matches!(error, CreateError::Refused(refusals) if refusals.len() == 2));
    assert!(opening.undone.is_empty(), "nothing had been opened");
    let registry = Registry::global().expect("the types are in order");
    let bare = Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).unwrap();
    bare.create(two(), &mut NoCompletion).expect("there is nothing to ask");
}

#[test]
fn what_turns_out_to_be_insecure_once_it_is_open_is_refused_and_undone() {
    let (tree, _) = tree(&[]);
    let mut opening = Opening { finds_bad: true, ..Opening::default() };
    let error = tree.create(two(), &mut opening).unwrap_err();
    let CreateError::Refused(refusals) = error else { panic!("{error}") };
    assert_eq!((refusals.len(), refusals[0].path()), (1, "/b"));
    assert_eq!(refusals[0].property().map(|(name, _)| name), Some("name"));
    assert_eq!(opening.undone, ["/b", "/a"]);
    assert_eq!(tree.walk().len(), 1);
    assert!(tree.taints().is_empty());
}

#[test]
fn what_may_be_but_was_not_foreseen_is_told_and_taints() {
    for (statement, action) in [(WarnTypes, Some(Warn)), (Accept, None)] {
        let (tree, _) = tree(&[InsecureTypes(statement)]);
        let mut opening = Opening { finds_bad: true, ..Opening::default() };
        let created = tree.create(two(), &mut opening).expect("it may be");
        assert_eq!(created.findings.len(), 1);
        assert!(action.is_none_or(|action| created.findings[0].action == action));
        let taints = tree.taints();
        assert_eq!((taints.len(), taints[0].cause.path()), (1, "/b"));
    }
}

#[test]
fn what_was_foreseen_is_told_once() {
    let (tree, names) = tree(&[InsecureTypes(WarnTypes)]);
    names.lead_astray.store(true, Ordering::SeqCst);
    let mut opening = Opening { finds_bad: true, ..Opening::default() };
    let created = tree.create(two(), &mut opening).expect("it may be");
    assert_eq!(created.findings.len(), 2);
    assert_eq!(tree.taints().len(), 2);
}

#[test]
fn what_can_not_be_judged_once_it_is_open_is_undone() {
    let (tree, _) = tree(&[InsecureTypes(Accept)]);
    let mut opening = Opening { breaks: true, ..Opening::default() };
    let error = tree.create(two(), &mut opening).unwrap_err();
    assert_eq!(error.to_string(), "can't look at it");
    assert_eq!(opening.undone, ["/b", "/a"]);
    assert_eq!(tree.walk().len(), 1);
}

#[test]
fn a_raise_goes_by_what_is_open_and_not_by_the_name() {
    let (tree, names) = tree(&[InsecureTypes(Accept)]);
    tree.create(two(), &mut Opening::default()).expect("both are good");
    names.lead_astray.store(true, Ordering::SeqCst);
    tree.raise(RequireSecure(true)).expect("what is open is as it was");
}
