//! A monitor with types of each status beside the project's own.

vmm::main!(devices, matrix_vmm);
