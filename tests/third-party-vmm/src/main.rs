//! A monitor with the types of a third party beside the project's own.

vmm::main!(devices, third_party_vmm);
