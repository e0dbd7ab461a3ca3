//! What the macros say to an author who made a mistake, word for word.

/// `TRYBUILD=overwrite cargo test -p tests --test macro_ui` writes the expected messages anew; read
/// them before you commit them.
#[test]
fn mistakes_are_explained_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/*.rs");
}
