//! A virtual machine monitor that refuses to build a machine out of types that are not declared
//! secure: the library, with the types of the crates named here.

vmm::main!(devices);
