//! Realized fields: empty, filled, emptied while somebody uses them.

use std::sync::Arc;

use device_model::prelude::*;

#[test]
fn an_empty_one_does_nothing() {
    let cell: Realized<u32> = Realized::default();
    assert_eq!(cell.with(|_| panic!("there is nothing")), None::<()>);
    assert_eq!(format!("{cell:?}"), "Realized(none)");
    cell.clear();
    assert!(cell.get().is_none());
}

#[test]
fn an_access_that_is_under_way_finishes_with_what_it_found() {
    let watched = Arc::new(());
    let cell = Realized::default();
    cell.set((7, Arc::clone(&watched)));
    let found = cell.with(|(number, _)| {
        cell.clear();
        assert!(cell.get().is_none(), "whoever begins later finds nothing");
        assert_eq!(Arc::strong_count(&watched), 2, "it lives as long as it is used");
        *number
    });
    assert_eq!(found, Some(7));
    assert_eq!(Arc::strong_count(&watched), 1);
}

#[test]
fn filling_it_again_replaces_what_was_there() {
    let watched = Arc::new(1);
    let cell = Realized::default();
    cell.set(Arc::clone(&watched));
    cell.set(Arc::new(2));
    assert_eq!(cell.with(|number| **number), Some(2));
    assert_eq!(Arc::strong_count(&watched), 1);
}
