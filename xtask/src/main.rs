//! Tasks of the workspace: audit, bench, test.

fn main() {}
