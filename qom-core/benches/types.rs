//! What types cost: the registry of ten thousand of them when a program starts, and the policy's
//! word on one.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use qom_core::{
    Globals, NoCompletion, Object, Policy, Registry, Request, SecurityStatus, Statement, Tree,
    TypeInfo, TypeKind, qom_type,
};

/// A type to create.
#[qom_type(secure, parent = Object)]
struct Exhibit {
    /// A number.
    #[property(default = 1)]
    number: u32,
}

/// `count` types under a hundred classes, in an order that is not theirs by name.
fn types(count: usize) -> Vec<&'static TypeInfo> {
    let name = |at: usize| &*Box::leak(format!("type-{at:05}").into_boxed_str());
    let names: Vec<&'static str> = (0..count).map(name).collect();
    let record = |at: usize| {
        let parent = at.checked_sub(1).map(|before| names[before % 100 / 2]);
        let status =
            if at.is_multiple_of(2) { SecurityStatus::Undeclared } else { SecurityStatus::Secure };
        let statement = Statement {
            crate_name: "benchmark",
            crate_ident: "benchmark",
            crate_version: "1.0.0",
            file: "benches/types.rs",
            line: 1,
        };
        let kind = TypeKind::Abstract;
        let base = TypeInfo::undeclared(names[at], "a type of a benchmark", kind, statement);
        let info = TypeInfo { parent, status, ..base };
        &*Box::leak(Box::new(info))
    };
    let step = 7919;
    (0..count).map(|at| record(at * step % count)).collect()
}

fn registry(criterion: &mut Criterion) {
    let types = types(10_000);
    criterion.bench_function("registry of 10,000 types", |bencher| {
        bencher.iter(|| Registry::new(black_box(&types).iter().copied()).expect("it is sound"));
    });
    criterion.bench_function("registry of 10,000 types and all their classes", |bencher| {
        bencher.iter_batched(
            || Registry::new(types.iter().copied()).expect("it is sound"),
            |registry| registry.classes().count(),
            BatchSize::LargeInput,
        );
    });
    let registry = Registry::new(types.iter().copied()).expect("it is sound");
    criterion.bench_function("class of 10,000 by name", |bencher| {
        bencher.iter(|| registry.class(black_box("type-06543")).is_some());
    });
}

fn policy(criterion: &mut Criterion) {
    let policy = Policy::default();
    criterion.bench_function("action of the policy", |bencher| {
        bencher.iter(|| black_box(policy).action(black_box(SecurityStatus::Undeclared)));
    });
    let registry = Registry::global().expect("the registry is sound");
    let tree = Tree::new(Arc::clone(registry), policy, Globals::default()).expect("a tree");
    criterion.bench_function("creation and removal of an object", |bencher| {
        bencher.iter(|| {
            let request = Request::new("exhibit", "/objects", "e");
            let created = tree.create([request], &mut NoCompletion).expect("it is secure");
            let object = created.objects.last().expect("it");
            tree.remove(object, &mut NoCompletion).expect("it is not in use");
        });
    });
}

criterion_group!(benches, registry, policy);
criterion_main!(benches);
