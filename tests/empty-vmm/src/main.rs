//! A monitor that names a crate for types that it does not have, which is a mistake.

vmm::main!(devices, empty_vmm);
