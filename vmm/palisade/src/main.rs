//! A virtual machine monitor that refuses to build a machine out of types that are not declared secure.

fn main() {}
