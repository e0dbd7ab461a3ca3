//! The policy over whole plans and over what exists: what is refused, in which words, and that a
//! refusal leaves nothing.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;
use qom_core::{
    Action::{self, Permit, Refuse, Warn},
    Boundaries, Boundary, Children, Configuration, CreateError, Given, Globals,
    InsecureTypes::{Accept, Crash, Reject, Warn as WarnTypes},
    Link, Linked, Live, NoCompletion, Obj, Object, Origin, PlanError, Policy,
    PolicyStatement::{self, InsecureTypes, ProhibitInsecure, RequireSecure},
    RaiseError, Registry, Request, SecurityStatus, SetError, Tree, qom_type,
};

/// The class of what a guest sees.
#[qom_type(abstract, secure, parent = Object, boundary(guest))]
trait Device: Object {}

/// A device that may stand at its boundary.
#[qom_type(secure, parent = Device)]
struct GoodDevice;
impl Device for GoodDevice {}

/// A device that may not.
#[qom_type(insecure, reason = "it trusts its guest", parent = Device, boundary(file))]
struct BadDevice;
impl Device for BadDevice {}

/// A device of which nobody has said anything.
#[qom_type(parent = Device)]
struct BlankDevice;
impl Device for BlankDevice {}

/// A secure type that brings one of each.
#[qom_type(secure, parent = Object, children = announce)]
struct Set;

fn announce(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    children.add("bad", "bad-device");
    children.add("blank", "blank-device");
    children.add("good", "good-device");
    Ok(())
}

/// A host's end, which is open to all or not.
#[qom_type(secure, parent = Object, boundary(client))]
struct Socket {
    /// Whether anyone can connect.
    #[property(live)]
    open: Live<bool>,
}

/// What must not be reached by just anyone.
#[qom_type(secure, parent = Object, boundary(management))]
struct Monitor {
    /// Where it listens.
    #[property(
        required,
        link = dyn Object,
        insecure_when(is_open, reason = "anyone can command the machine")
    )]
    socket: Link<dyn Object>,
}

fn is_open(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    match configuration.linked("socket")? {
        Some(socket) if socket.class().name() == "socket" => socket.get::<bool>("open"),
        // A monitor on a monitor is reached as that is.
        Some(Linked::Planned(other)) => is_open(&other),
        _ => Ok(false),
    }
}

/// A type whose judge looks at the world, which may change.
#[qom_type(secure, parent = Object)]
struct Weathered {
    /// Where the wind comes from.
    #[property(default = "west", insecure_when(storms, reason = "there is a storm"))]
    wind: String,
}

static STORM: AtomicBool = AtomicBool::new(false);
static FOG: AtomicBool = AtomicBool::new(false);
static WEATHER: Mutex<()> = Mutex::new(());

fn storms(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    if FOG.load(Ordering::SeqCst) {
        return Err(PlanError::Refused(format!("{} is not to be seen", configuration.path())));
    }
    Ok(STORM.load(Ordering::SeqCst))
}

fn tree(statements: &[PolicyStatement]) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::of(statements), Globals::default()).expect("a tree")
}

fn create(tree: &Tree, request: Request) -> Result<Obj, CreateError> {
    let created = tree.create([request], &mut NoCompletion)?;
    Ok(created.objects.last().expect("something was created").clone())
}

fn state(tree: &Tree) -> Vec<(Option<String>, &'static str)> {
    tree.walk().iter().map(|object| (object.path(), object.class().name())).collect()
}

#[test]
fn an_insecure_type_is_refused_in_these_words() {
    for statements in [&[][..], &[RequireSecure(true)], &[ProhibitInsecure(true)]] {
        let error = create(&tree(statements), Request::new("bad-device", "/", "d")).unwrap_err();
        assert_eq!(error.to_string(), "Type 'bad-device' is declared as insecure");
    }
}

#[test]
fn an_undeclared_type_is_refused_in_these_words() {
    let request = || Request::new("blank-device", "/", "d");
    let error = create(&tree(&[]), request()).unwrap_err();
    assert_eq!(error.to_string(), "Type 'blank-device' is not declared as secure");
    create(&tree(&[ProhibitInsecure(true)]), request()).expect("only the insecure is prohibited");
}

#[test]
fn a_secure_type_is_created_under_every_policy() {
    for statements in [&[][..], &[RequireSecure(true)], &[InsecureTypes(Crash)]] {
        create(&tree(statements), Request::new("good-device", "/", "d")).expect("it is secure");
    }
}

#[test]
fn a_refusal_tells_all_that_there_is_to_tell() {
    let origin = Origin::new("-device bad-device,id=d");
    let request = Request::new("bad-device", "/machine", "d").from(origin.clone());
    let CreateError::Refused(refusals) = create(&tree(&[]), request).unwrap_err() else {
        panic!("the policy refuses it");
    };
    let [refusal] = &*refusals else { panic!("one object is refused: {refusals:?}") };
    assert_eq!((refusal.path(), refusal.type_name()), ("/machine/d", "bad-device"));
    let reason = "it trusts its guest";
    assert_eq!(refusal.status(), SecurityStatus::Insecure { reason });
    assert_eq!(refusal.boundaries(), Boundaries::of(&[Boundary::Guest, Boundary::File]));
    assert_eq!((refusal.reason(), refusal.origin()), (Some(reason), &origin));
    assert_eq!(refusal.statement().crate_name, env!("CARGO_PKG_NAME"));
    assert_eq!(refusal.property(), None);
}

#[test]
fn the_explanation_names_boundary_reason_and_switch() {
    let refusal = |type_name: &str| match create(&tree(&[]), Request::new(type_name, "/", "d"))
        .unwrap_err()
    {
        CreateError::Refused(refusals) => refusals[0].clone(),
        other => panic!("the policy refuses it: {other}"),
    };
    let (bad, blank) = (refusal("bad-device"), refusal("blank-device"));
    assert_eq!(
        bad.explanation(&[]),
        "boundary: guest, file; reason: it trusts its guest; to allow it: -compat \
         insecure-types=accept"
    );
    assert_eq!(
        blank.explanation(&[]),
        "boundary: guest; reason: nobody has declared it secure yet; to allow it: -machine \
         prohibit-insecure=yes"
    );
    let stated = [RequireSecure(true), ProhibitInsecure(true), InsecureTypes(WarnTypes)];
    assert_eq!(
        bad.explanation(&stated),
        "boundary: guest, file; reason: it trusts its guest; to allow it: -compat \
         insecure-types=accept in place of 'require-secure=yes' and 'prohibit-insecure=yes'"
    );
    assert_eq!(
        blank.explanation(&stated),
        "boundary: guest; reason: nobody has declared it secure yet; to allow it: -machine \
         prohibit-insecure=yes in place of 'require-secure=yes'"
    );
}

#[test]
fn the_switch_that_an_explanation_names_does_allow_it() {
    let allowed = [("bad-device", InsecureTypes(Accept)), ("blank-device", ProhibitInsecure(true))];
    for (type_name, switch) in allowed {
        create(&tree(&[switch]), Request::new(type_name, "/", "d")).expect("it is allowed");
    }
}

#[test]
fn a_plan_with_several_offenders_is_refused_with_all_of_them() {
    let tree = tree(&[]);
    let requests = [Request::new("set", "/", "s"), Request::new("blank-device", "/", "d")];
    let error = tree.create(requests, &mut NoCompletion).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Type 'bad-device' is declared as insecure; Type 'blank-device' is not declared as \
         secure; Type 'blank-device' is not declared as secure"
    );
    let CreateError::Refused(refusals) = &error else { panic!("the policy refuses it") };
    let paths: Vec<_> = refusals.iter().map(qom_core::Refusal::path).collect();
    assert_eq!(paths, ["/s/bad", "/s/blank", "/d"]);
    let origin = refusals[0].origin().to_string();
    assert_eq!(origin, "set", "whoever asked for the whole");
}

#[test]
fn a_hundred_refusals_leave_the_tree_as_it_was() {
    let tree = tree(&[]);
    create(&tree, Request::new("good-device", "/kept", "d")).expect("it is secure");
    let before = state(&tree);
    for round in 0..100 {
        let name = format!("d{round}");
        let types = ["bad-device", "blank-device", "set"];
        let request = Request::new(types[round % 3], format!("/new{round}"), name);
        create(&tree, request).expect_err("it is not secure");
    }
    assert_eq!(state(&tree), before);
    assert!(tree.taints().is_empty());
}

#[test]
fn under_warn_everything_is_created_with_a_finding_for_each_and_taints() {
    let tree = tree(&[InsecureTypes(WarnTypes)]);
    let created = tree.create([Request::new("set", "/", "s")], &mut NoCompletion).expect("it may");
    let found: Vec<_> =
        created.findings.iter().map(|finding| (finding.refusal.path(), finding.action)).collect();
    assert_eq!(found, [("/s/bad", Warn), ("/s/blank", Warn)]);
    let taints = tree.taints();
    assert_eq!(taints.len(), 2);
    assert!(taints.iter().all(|taint| !taint.removed));
    assert_eq!(taints[0].cause, created.findings[0].refusal);
}

#[test]
fn the_dry_run_says_what_the_real_run_does() {
    for statements in [&[][..], &[ProhibitInsecure(true)], &[InsecureTypes(Accept)]] {
        let tree = tree(statements);
        let plan = tree.plan([Request::new("set", "/", "s")]).expect("it can be planned");
        let dry = plan.judge(tree.policy()).expect("it can be judged");
        let refused: Vec<_> = dry.iter().filter(|finding| finding.action == Refuse).collect();
        match tree.create_planned(plan, &mut NoCompletion) {
            Ok(created) => {
                assert!(refused.is_empty());
                assert_eq!(created.findings, dry);
            }
            Err(CreateError::Refused(refusals)) => {
                assert!(refusals.iter().eq(refused.iter().map(|finding| &finding.refusal)));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_policy_is_raised_and_never_loosened() {
    let tree = tree(&[InsecureTypes(Accept)]);
    assert_eq!(tree.raise(ProhibitInsecure(true)), Ok(Policy::of(&[ProhibitInsecure(true)])));
    create(&tree, Request::new("bad-device", "/", "d")).expect_err("it holds from now on");
    for statement in [RequireSecure(false), InsecureTypes(Accept)] {
        let error = tree.raise(statement).unwrap_err();
        assert!(matches!(error, RaiseError::Loosening(_)), "{statement}: {error}");
    }
    // What it asks of the insecure is less than what holds; what it asks of the undeclared is more.
    let both = Policy::of(&[ProhibitInsecure(true), InsecureTypes(WarnTypes)]);
    assert_eq!(tree.raise(InsecureTypes(WarnTypes)), Ok(both), "as if it had been said at first");
    assert_eq!(tree.raise(ProhibitInsecure(false)), Ok(tree.policy()), "it states nothing");
    assert_eq!(tree.raise(RequireSecure(true)), Ok(Policy::default()));
    assert!(tree.raise(InsecureTypes(Crash)).expect("it is as strict").aborts());
}

#[test]
fn a_raise_that_a_live_object_contradicts_is_refused_and_changes_nothing() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let object = create(&tree, Request::new("blank-device", "/", "d")).expect("all is accepted");
    let before = tree.policy();
    let error = tree.raise(RequireSecure(true)).unwrap_err();
    assert_eq!(error.to_string(), "Type 'blank-device' is not declared as secure, and '/d' exists");
    assert_eq!(tree.policy(), before);
    tree.raise(ProhibitInsecure(true)).expect("what exists is only undeclared");
    tree.remove(&object, &mut NoCompletion).expect("it is not in use");
    tree.raise(RequireSecure(true)).expect("nothing contradicts it any more");
    assert_eq!(tree.taints().len(), 1, "the taint stays");
}

#[test]
fn a_raise_judges_what_the_living_objects_are_now() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let socket = create(&tree, Request::new("socket", "/", "s").set("open", "on")).unwrap();
    create(&tree, Request::new("monitor", "/", "m").set("socket", "/s")).expect("it is accepted");
    assert_eq!(tree.taints().len(), 1);
    let error = tree.raise(RequireSecure(true)).unwrap_err();
    assert!(matches!(&error, RaiseError::Contradicted { path, .. } if path == "/m"), "{error}");
    tree.set(&socket, "open", &Given::from("off")).expect("it becomes secure");
    tree.raise(RequireSecure(true)).expect("nothing contradicts it any more");
}

#[test]
fn a_raise_sees_what_became_insecure_or_unjudged_since_its_creation() {
    let _weather = WEATHER.lock().unwrap();
    let tree = tree(&[InsecureTypes(Accept)]);
    create(&tree, Request::new("weathered", "/", "w")).expect("it is secure");
    assert!(tree.taints().is_empty());
    STORM.store(true, Ordering::SeqCst);
    let error = tree.raise(RequireSecure(true)).unwrap_err();
    assert!(matches!(&error, RaiseError::Contradicted { path, .. } if path == "/w"), "{error}");
    FOG.store(true, Ordering::SeqCst);
    let error = tree.raise(RequireSecure(true)).unwrap_err();
    assert_eq!(error.to_string(), "'/w' can't be judged: /w is not to be seen");
    STORM.store(false, Ordering::SeqCst);
    FOG.store(false, Ordering::SeqCst);
    tree.raise(RequireSecure(true)).expect("the weather is fair");
}

#[test]
fn a_link_is_judged_by_what_it_points_to_planned_or_alive() {
    let tree = tree(&[]);
    let open = Request::new("socket", "/", "open").set("open", "on");
    let monitor = |socket: &str| Request::new("monitor", "/", "m").set("socket", socket);
    let message = "Property 'monitor.socket' with value '/open' is declared as insecure";
    let planned = tree.create([open.clone(), monitor("/open")], &mut NoCompletion).unwrap_err();
    assert_eq!(planned.to_string(), message);
    create(&tree, open).expect("the socket alone is secure");
    let alive = create(&tree, monitor("/open")).unwrap_err();
    assert_eq!(alive.to_string(), message);
}

#[test]
fn a_change_is_judged_on_both_ends_of_a_link() {
    let tree = tree(&[]);
    let socket = create(&tree, Request::new("socket", "/", "s")).unwrap();
    create(&tree, Request::new("monitor", "/", "m").set("socket", "/s")).expect("it is closed");
    let error = tree.set(&socket, "open", &Given::from("on")).unwrap_err();
    let SetError::Refused(refusal) = &error else { panic!("the monitor refuses it: {error}") };
    assert_eq!((refusal.path(), refusal.type_name()), ("/m", "monitor"));
    assert_eq!(socket.get("open"), Some(false.into()), "nothing has changed");
    let alone = create(&tree, Request::new("socket", "/", "alone")).unwrap();
    tree.set(&alone, "open", &Given::from("on")).expect("nobody links to it");
}

#[test]
fn a_change_that_taints_what_links_to_it_taints_that() {
    let tree = tree(&[InsecureTypes(WarnTypes)]);
    let socket = create(&tree, Request::new("socket", "/", "s")).unwrap();
    let monitor = create(&tree, Request::new("monitor", "/", "m").set("socket", "/s")).unwrap();
    assert!(tree.taints().is_empty());
    let findings = tree.set(&socket, "open", &Given::from("on")).expect("it may, with a warning");
    assert_eq!((findings.len(), findings[0].action), (1, Warn));
    assert_eq!(tree.taints()[0].cause.path(), "/m");
    let again = tree.set(&socket, "open", &Given::from("on")).expect("it is so already");
    assert!(again.is_empty() && tree.taints().len() == 1, "it is no news");
    tree.remove(&monitor, &mut NoCompletion).unwrap();
    assert!(tree.taints()[0].removed, "it was the monitor that was tainted");
}

#[test]
fn a_raise_waits_for_a_creation_that_was_judged_by_the_old_policy() {
    use qom_core::{BoxedError, Completion};
    use std::sync::mpsc;
    struct Slow(mpsc::Sender<()>, mpsc::Receiver<()>);
    impl Completion for Slow {
        fn complete(&mut self, _: &Obj) -> Result<(), BoxedError> {
            self.0.send(())?;
            Ok(self.1.recv()?)
        }
        fn undo(&mut self, _: &Obj) {}
    }
    let tree = tree(&[InsecureTypes(Accept)]);
    let (began, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    std::thread::scope(|scope| {
        let creating = scope.spawn(|| {
            let mut slow = Slow(began, may_go_on);
            tree.create([Request::new("bad-device", "/", "d")], &mut slow).map(|_| ())
        });
        has_begun.recv().expect("the creation begins");
        let raising = scope.spawn(|| tree.raise(RequireSecure(true)));
        assert_eq!(tree.policy(), Policy::of(&[InsecureTypes(Accept)]), "reading does not wait");
        go_on.send(()).expect("it waits");
        creating.join().unwrap().expect("it was judged before the raise");
        let error = raising.join().unwrap().unwrap_err();
        assert!(matches!(error, RaiseError::Contradicted { .. }), "{error}");
    });
}

fn statement() -> impl Strategy<Value = PolicyStatement> {
    prop_oneof![
        any::<bool>().prop_map(RequireSecure),
        any::<bool>().prop_map(ProhibitInsecure),
        prop::sample::select(vec![Accept, WarnTypes, Reject, Crash]).prop_map(InsecureTypes),
    ]
}

fn actions(policy: Policy) -> (Action, Action) {
    (policy.undeclared(), policy.insecure())
}

proptest! {
    #[test]
    fn any_statements_in_any_order_are_their_maximum(
        statements in prop::collection::vec(statement(), 0..8),
        seed in any::<usize>(),
    ) {
        let mut turned = statements.clone();
        if !turned.is_empty() {
            let middle = seed % turned.len();
            turned.rotate_left(middle);
        }
        prop_assert_eq!(Policy::of(&statements), Policy::of(&turned));
        let stated: Vec<_> = statements.iter().filter_map(|one| one.actions()).collect();
        let expected = stated.iter().copied().reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)));
        prop_assert_eq!(actions(Policy::of(&statements)), expected.unwrap_or((Refuse, Refuse)));
    }

    #[test]
    fn whatever_is_stated_later_nothing_gets_weaker(
        first in prop::collection::vec(statement(), 0..4),
        later in prop::collection::vec(statement(), 0..8),
    ) {
        let tree = tree(&first);
        for statement in later {
            let before = tree.policy();
            let _ = tree.raise(statement);
            let after = tree.policy();
            prop_assert!(after.undeclared() >= before.undeclared());
            prop_assert!(after.insecure() >= before.insecure());
            prop_assert!(after.aborts() || !before.aborts());
        }
    }

    #[test]
    fn what_a_statement_shows_it_is_read_from(statement in statement()) {
        let text = statement.to_string();
        let (option, value) = text.split_once('=').expect("an option and its value");
        prop_assert_eq!(PolicyStatement::parse(option, value), Ok(Some(statement)));
    }

    #[test]
    fn no_word_is_too_odd(option in "require-secure|insecure-types|\\PC*", word in any::<String>()) {
        let _ = PolicyStatement::parse(&option, &word);
    }

    #[test]
    fn what_is_created_is_what_the_policy_permits(
        statements in prop::collection::vec(statement(), 0..4),
    ) {
        let policy = Policy::of(&statements);
        for (name, action) in [
            ("good-device", Permit),
            ("bad-device", policy.insecure()),
            ("blank-device", policy.undeclared()),
        ] {
            let tree = tree(&statements);
            let created = create(&tree, Request::new(name, "/", "d")).is_ok();
            prop_assert_eq!(created, action != Refuse);
            prop_assert_eq!(tree.taints().len(), usize::from(created && name != "good-device"));
        }
    }
}
