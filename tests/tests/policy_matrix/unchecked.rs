//! The matrix against a program without the check: the tests of it could fail.

use tests::{matrix_vmm, unchecked_matrix_vmm, unchecked_palisade};

use super::{
    all_cells,
    policies::{Action, POLICIES},
    registry::Registry,
};

#[test]
fn without_the_check_every_cell_that_refuses_is_found_wrong() {
    let refuses = |policy: &super::Policy| {
        policy.undeclared == Action::Refuse || policy.insecure == Action::Refuse
    };
    let policies: Vec<_> = POLICIES.into_iter().filter(refuses).collect();
    assert_ne!(unchecked_matrix_vmm(), matrix_vmm());
    let cells = all_cells(&Registry::ask(), &unchecked_matrix_vmm(), &policies);
    let refusing: Vec<_> = cells.iter().filter(|cell| cell.expected == Action::Refuse).collect();
    assert!(refusing.len() > 1000, "{} cells", refusing.len());
    let unnoticed: Vec<_> =
        refusing.iter().filter(|cell| cell.is_as_declared()).map(|cell| &cell.name).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
    // It is the same program otherwise: what may be is as it was.
    let wrong: Vec<_> = cells
        .iter()
        .filter(|cell| cell.expected == Action::Permit && !cell.is_as_declared())
        .map(|cell| (&cell.name, &cell.outcome))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_program_that_users_get_has_no_build_without_the_check() {
    let said = unchecked_palisade();
    assert!(said.contains("palisade has no build without the policy's check"), "{said}");
}
