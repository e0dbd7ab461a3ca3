//! The tree: what comes comes whole or not at all, what goes goes whole, and the path is free again.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use qom_core::{
    BoxedError, Children, Completion, Configuration, CreateError, Globals, Link, Live,
    NoCompletion, Obj, Object, PlanError, Policy, PolicyStatement, Registry, RemoveError, Request,
    SetError, Tree, qom_type,
};

/// The class of what keeps numbers.
#[qom_type(abstract, parent = Object)]
trait Store: Object {}

impl Store for Backend {}

/// An object that others can link to.
#[qom_type(secure, parent = Store)]
struct Backend {
    /// A number.
    #[property(live)]
    number: Live<u8>,
}

/// An object with a part.
#[qom_type(secure, parent = Object, children = parts)]
struct Board {
    /// What the part uses.
    #[property(link = dyn Object)]
    uses: Link<dyn Object>,
}

fn parts(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    children.add("slots/part", "backend");
    children.add_container("free");
    Ok(())
}

/// An object that links to another.
#[qom_type(secure, parent = Object)]
struct User {
    /// What it uses.
    #[property(link = dyn Object)]
    uses: Link<dyn Object>,
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts the objects that exist.
struct Count;

impl Default for Count {
    fn default() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An object that is counted.
#[qom_type(secure, parent = Object)]
struct Counted {
    _count: Count,
}

fn tree() -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).expect("an empty tree")
}

fn create(tree: &Tree, request: Request) -> Obj {
    let path = request.clone();
    let created = tree.create([request], &mut NoCompletion).expect("it is created");
    let mut objects = created.objects.into_iter();
    objects.find(|object| path.is_at(&object.path().expect("it is in the tree"))).expect("it")
}

fn backend(name: &str) -> Request {
    Request::new("backend", "/objects", name)
}

fn user(name: &str, uses: &str) -> Request {
    Request::new("user", "/objects", name).set("uses", uses)
}

fn paths(tree: &Tree) -> Vec<String> {
    tree.walk().iter().map(|object| object.path().expect("it is in the tree")).collect()
}

/// Notes what it is asked to do, and fails at one path.
#[derive(Default)]
struct Notes {
    notes: Vec<String>,
    fail_at: Option<&'static str>,
}

impl Completion for Notes {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        let path = object.path().expect("it is attached");
        assert!(!object.is_complete());
        if self.fail_at == Some(&*path) {
            return Err("no luck".into());
        }
        self.notes.push(format!("+{path}"));
        Ok(())
    }

    fn undo(&mut self, object: &Obj) {
        self.notes.push(format!("-{}", object.path().expect("it is attached still")));
    }
}

#[test]
fn an_object_stands_at_its_path_with_the_containers_above_it() {
    let tree = tree();
    let object = create(&tree, backend("a"));
    assert_eq!(object.path().as_deref(), Some("/objects/a"));
    assert_eq!(object.name(), "a");
    assert_eq!(paths(&tree), ["/", "/objects", "/objects/a"]);
    let above = object.parent().expect("it has a parent");
    assert_eq!(above.class().name(), "container");
    assert!(object.is_complete() && object.is_requested() && !above.is_requested());
}

#[test]
fn a_duplicate_name_is_refused_in_these_words_and_the_original_stays() {
    let tree = tree();
    let original = create(&tree, backend("id"));
    let error = tree.create([user("id", "")], &mut NoCompletion).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attempt to add duplicate property 'id' to object (type 'container')"
    );
    assert!(tree.resolve("/objects/id").expect("it is there").same(&original));
}

#[test]
fn a_duplicate_name_within_one_plan_is_refused_however_the_parent_is_written() {
    let tree = tree();
    let twice = [backend("id"), Request::new("backend", "//objects//", "id")];
    let error = tree.create(twice, &mut NoCompletion).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attempt to add duplicate property 'id' to object (type 'container')"
    );
    assert_eq!(paths(&tree), ["/"]);
}

#[test]
fn a_path_is_canonical_however_the_parent_is_written() {
    let tree = tree();
    let object = create(&tree, Request::new("backend", "objects//deep/", "x"));
    assert_eq!(object.path().as_deref(), Some("/objects/deep/x"));
}

#[test]
fn a_removed_object_makes_room_for_another_of_its_name() {
    let tree = tree();
    let first = create(&tree, backend("id"));
    tree.remove(&first, &mut NoCompletion).expect("it is not in use");
    assert_eq!((first.path(), first.name(), first.parent().is_none()), (None, String::new(), true));
    let second = create(&tree, backend("id"));
    assert!(tree.resolve("/objects/id").expect("it is there").same(&second));
    let gone = tree.remove(&first, &mut NoCompletion).unwrap_err();
    assert_eq!(gone, RemoveError::Absent { class: "backend" });
    assert!(tree.resolve("/objects/id").is_ok(), "the handle of the first is not the second's");
}

#[test]
fn names_that_can_not_be_part_of_a_path_are_refused() {
    let tree = tree();
    for name in ["", "a/b", "a\n", "\u{7f}", &"x".repeat(256)] {
        let error = tree.create([backend(name)], &mut NoCompletion).unwrap_err();
        let is_name = matches!(&error, CreateError::Plan { error: PlanError::Name { .. }, .. });
        assert!(is_name, "{name:?}: {error}");
    }
    assert_eq!(paths(&tree), ["/"]);
}

#[test]
fn children_are_walked_sorted_and_a_list_of_them_survives_their_removal() {
    let tree = tree();
    for name in ["c", "a", "b"] {
        create(&tree, backend(name));
    }
    let objects = tree.resolve("/objects").expect("it is there");
    let children = objects.children();
    assert_eq!(children.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a", "b", "c"]);
    for (_, child) in children {
        tree.remove(&child, &mut NoCompletion).expect("it is not in use");
    }
    assert!(objects.children().is_empty());
}

#[test]
fn an_object_that_another_links_to_is_in_use() {
    let tree = tree();
    let target = create(&tree, backend("a"));
    let linking = create(&tree, user("u", "/objects/a"));
    let error = tree.remove(&target, &mut NoCompletion).unwrap_err();
    assert_eq!(error.to_string(), "'/objects/a' is in use by '/objects/u'");
    assert!(target.is_complete(), "nothing was undone");
    tree.remove(&linking, &mut NoCompletion).expect("nobody uses it");
    tree.remove(&target, &mut NoCompletion).expect("nobody uses it any more");
}

#[test]
fn a_link_to_a_part_keeps_the_whole() {
    let tree = tree();
    let board = create(&tree, Request::new("board", "/", "m"));
    create(&tree, user("u", "/m/slots/part"));
    let error = tree.remove(&board, &mut NoCompletion).unwrap_err();
    let user = "/objects/u".to_owned();
    assert_eq!(error, RemoveError::InUse { path: "/m".to_owned(), user });
}

#[test]
fn links_from_inside_to_outside_or_to_inside_hold_nothing_up() {
    let tree = tree();
    create(&tree, backend("outside"));
    let board = create(&tree, Request::new("board", "/", "m").set("uses", "/objects/outside"));
    create(&tree, Request::new("user", "/m/free", "u").set("uses", "/m/slots/part"));
    tree.remove(&board, &mut NoCompletion).expect("nothing outside uses it");
    assert_eq!(paths(&tree), ["/", "/objects", "/objects/outside"]);
}

#[test]
fn a_part_goes_with_its_whole_only() {
    let tree = tree();
    let board = create(&tree, Request::new("board", "/", "m"));
    for path in ["/m/slots/part", "/m/slots", "/m/free"] {
        let part = tree.resolve(path).expect("it is there");
        let error = tree.remove(&part, &mut NoCompletion).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("'{path}' is a part of '/m' and can only be removed with it")
        );
    }
    let root = tree.remove(tree.root(), &mut NoCompletion).unwrap_err();
    assert_eq!(root, RemoveError::Part { path: "/".to_owned(), owner: "/".to_owned() });
    tree.remove(&board, &mut NoCompletion).expect("it was asked for");
}

#[test]
fn objects_are_undone_the_last_created_first_whatever_their_names() {
    let tree = tree();
    for request in [backend("z"), user("a", "/objects/z"), user("m", "/objects/a")] {
        create(&tree, request);
    }
    let mut notes = Notes::default();
    tree.clear(&mut notes);
    assert_eq!(notes.notes, ["-/objects/m", "-/objects/a", "-/objects/z", "-/objects"]);
    assert_eq!(paths(&tree), ["/"]);

    let board = create(&tree, Request::new("board", "/", "m"));
    create(&tree, Request::new("backend", "/m/free", "z"));
    create(&tree, Request::new("user", "/m/free", "a").set("uses", "/m/free/z"));
    let mut notes = Notes::default();
    tree.remove(&board, &mut notes).expect("nobody uses it");
    let expected = ["-/m/free/a", "-/m/free/z", "-/m/free", "-/m/slots/part", "-/m/slots", "-/m"];
    assert_eq!(notes.notes, expected);
}

#[test]
fn when_one_object_fails_the_earlier_ones_are_undone_in_reverse_and_nothing_is_left() {
    let tree = tree();
    create(&tree, backend("before"));
    let before = paths(&tree);
    let mut notes = Notes { fail_at: Some("/m/slots/part"), ..Notes::default() };
    let requests = [backend("a"), Request::new("board", "/", "m"), backend("never")];
    let error = tree.create(requests, &mut notes).unwrap_err();
    assert!(
        matches!(&error, CreateError::Complete { path, .. } if path == "/m/slots/part"),
        "{error}"
    );
    assert_eq!(error.to_string(), "no luck");
    assert_eq!(error.origin().map(ToString::to_string).as_deref(), Some("board"));
    assert_eq!(notes.notes, ["+/objects/a", "+/m", "+/m/slots", "-/m/slots", "-/m", "-/objects/a"]);
    assert_eq!(paths(&tree), before);
    create(&tree, Request::new("board", "/", "m"));
}

#[test]
fn a_completion_that_panics_leaves_no_object_and_no_lock_behind() {
    struct Panics;
    impl Completion for Panics {
        fn complete(&mut self, _: &Obj) -> Result<(), BoxedError> {
            panic!("a bug in a device");
        }
        fn undo(&mut self, _: &Obj) {}
    }
    let tree = tree();
    let attempt = std::panic::AssertUnwindSafe(|| tree.create([backend("a")], &mut Panics));
    std::panic::catch_unwind(attempt).expect_err("it panics");
    assert_eq!(paths(&tree), ["/"]);
    create(&tree, backend("a"));
}

#[test]
fn objects_that_go_are_dropped() {
    let tree = tree();
    let created = create(&tree, Request::new("counted", "/", "c"));
    assert_eq!(ALIVE.load(Ordering::SeqCst), 1);
    tree.remove(&created, &mut NoCompletion).expect("it is not in use");
    assert_eq!(ALIVE.load(Ordering::SeqCst), 1, "the handle keeps it");
    drop(created);
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
    let mut notes = Notes { fail_at: Some("/d"), ..Notes::default() };
    let requests = [Request::new("counted", "/", "c"), Request::new("counted", "/", "d")];
    tree.create(requests, &mut notes).expect_err("the second fails");
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
}

#[test]
fn a_link_needs_a_target_of_its_class_outside_its_own_ancestors() {
    let tree = tree();
    create(&tree, backend("serial0"));
    let error = |request| tree.create([request], &mut NoCompletion).unwrap_err().to_string();
    assert_eq!(
        error(user("u", "/objects/serial1")),
        "Parameter 'uses' refers to '/objects/serial1', which does not exist; did you mean \
         '/objects/serial0'?"
    );
    assert_eq!(
        error(user("u", "seral0")),
        "Parameter 'uses' refers to 'seral0', which does not exist; did you mean 'serial0'?"
    );
    for above in ["/objects", "/", "objects"] {
        assert_eq!(
            error(user("u", above)),
            format!("Parameter 'uses' refers to '{above}', which contains the object itself")
        );
    }
    let request = Request::new("needs-backend", "/", "n").set("backend", "/objects");
    assert_eq!(
        error(request),
        "Invalid parameter type for 'backend', expected: store, got: container"
    );
}

/// An object that links to a backend only.
#[qom_type(secure, parent = Object)]
struct NeedsBackend {
    /// The backend.
    #[property(link = dyn Store)]
    backend: Link<dyn Store>,
}

#[test]
fn a_link_can_point_ahead_to_nothing_of_the_same_plan() {
    let tree = tree();
    let error = tree.create([user("u", "/objects/b"), backend("b")], &mut NoCompletion);
    assert!(error.is_err(), "what is created later is not there yet");
    let created = tree
        .create([backend("b"), user("u", "/objects//b")], &mut NoCompletion)
        .expect("what is created earlier is");
    let linking = created.objects.last().and_then(Obj::cast::<User>).expect("it is a user");
    assert!(linking.uses.handle().is_some_and(|target| target.same(&created.objects[1])));
}

#[test]
fn a_handle_of_another_tree_is_refused_everywhere() {
    let (ours, theirs) = (tree(), tree());
    let foreign = create(&theirs, backend("a"));
    let message = "the object of type 'backend' belongs to another object tree";
    assert_eq!(ours.own(&foreign).unwrap_err().to_string(), message);
    assert_eq!(ours.remove(&foreign, &mut NoCompletion).unwrap_err().to_string(), message);
    let set = ours.set(&foreign, "number", &"1".into()).unwrap_err();
    assert_eq!((set.to_string().as_str(), matches!(set, SetError::Foreign(_))), (message, true));
    let plan = theirs.plan([backend("b")]).expect("it can be planned");
    let error = ours.create_planned(plan, &mut NoCompletion).unwrap_err();
    assert_eq!(error.to_string(), "the plan belongs to another object tree");
    assert_eq!(paths(&ours), ["/"]);
    theirs.own(&foreign).expect("it is theirs");
}

#[test]
fn a_plan_that_counted_on_what_is_gone_is_refused_before_anything_is_constructed() {
    let tree = tree();
    let target = create(&tree, backend("a"));
    let holder = create(&tree, Request::new("container", "/", "holder"));
    let linking = tree.plan([user("u", "/objects/a")]).expect("the target is there");
    let held = tree.plan([Request::new("backend", "/holder", "b")]).expect("the holder is there");
    let same = tree.plan([backend("c")]).expect("the name is free");
    tree.remove(&target, &mut NoCompletion).unwrap();
    tree.remove(&holder, &mut NoCompletion).unwrap();
    create(&tree, backend("c"));
    let before = paths(&tree);
    for (plan, path) in [(linking, "/objects/u"), (held, "/holder/b")] {
        let error = tree.create_planned(plan, &mut NoCompletion).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("'{path}' can't be created: its parent or what it links to has left the tree")
        );
    }
    let error = tree.create_planned(same, &mut NoCompletion).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attempt to add duplicate property 'c' to object (type 'container')"
    );
    assert_eq!(paths(&tree), before);
}

#[test]
fn a_change_from_within_a_change_is_an_error_and_not_a_deadlock() {
    struct Reenters<'a>(&'a Tree, Mutex<Vec<String>>);
    impl Completion for Reenters<'_> {
        fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
            let tree = self.0;
            let (policy, taints) = (tree.policy(), tree.taints());
            assert_eq!((policy, taints.len()), (Policy::default(), 0), "reading is no change");
            let errors = [
                tree.create([backend("b")], &mut NoCompletion).unwrap_err().to_string(),
                tree.remove(object, &mut NoCompletion).unwrap_err().to_string(),
                tree.raise(PolicyStatement::RequireSecure(true)).unwrap_err().to_string(),
            ];
            self.1.lock().unwrap().extend(errors);
            tree.clear(&mut NoCompletion);
            Ok(())
        }
        fn undo(&mut self, _: &Obj) {}
    }
    let tree = tree();
    create(&tree, Request::new("container", "/", "objects"));
    let mut reenters = Reenters(&tree, Mutex::default());
    tree.create([backend("a")], &mut reenters).expect("it goes on");
    let errors = reenters.1.into_inner().unwrap();
    assert_eq!(errors, ["the object tree can't be changed from within a change of it"; 3]);
    assert_eq!(paths(&tree), ["/", "/objects", "/objects/a"]);
}

#[test]
fn many_threads_create_and_remove_and_none_sees_half_of_it() {
    let tree = tree();
    create(&tree, Request::new("container", "/", "objects"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let tree = &tree;
            scope.spawn(move || {
                for round in 0..50 {
                    let name = format!("{}", (thread + round) % 5);
                    // Another thread may have taken the name; then nothing comes of it.
                    if let Ok(created) = tree.create([backend(&name)], &mut NoCompletion) {
                        assert_eq!(created.objects.len(), 1);
                        tree.remove(&created.objects[0], &mut NoCompletion).expect("it is ours");
                    }
                    let _ = tree.walk().iter().map(Obj::path).collect::<Vec<_>>();
                }
            });
        }
    });
    assert_eq!(paths(&tree), ["/", "/objects"]);
}

#[test]
fn a_long_chain_of_links_ends_without_exhausting_the_stack() {
    const LENGTH: usize = 20_000;
    let tree = tree();
    let chain = (0..LENGTH).map(|at| match at.checked_sub(1) {
        Some(before) => user(&format!("{at:05}"), &format!("/objects/{before:05}")),
        None => user("00000", ""),
    });
    tree.create(chain, &mut NoCompletion).expect("a plan can be that long");
    assert_eq!(tree.walk().len(), LENGTH + 2);
    drop(tree);
}
