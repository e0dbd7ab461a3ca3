//! Kernels in the form of a bzImage, made by hand: good but for what is to be bad.

/// Bytes of setup code, with the sector that holds the header.
const SETUP_SIZE: usize = 5 * 512;

/// A bzImage of boot protocol 2.15 (Linux, Documentation/arch/x86/boot.rst) around a payload, which
/// is compressed in a way that its first bytes tell.
pub fn bzimage(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads of tests are small");
    let mut bytes = vec![0; SETUP_SIZE];
    let fields: [(usize, &[u8]); 12] = [
        (0x1f1, &[4]),                         // setup_sects
        (0x1fe, &[0x55, 0xaa]),                // boot_flag
        (0x200, &[0xeb, 0x6a]),                // a jump to the header's end
        (0x202, b"HdrS"),                      // header
        (0x206, &0x20f_u16.to_le_bytes()),     // version
        (0x211, &[1]),                         // loadflags: LOADED_HIGH
        (0x230, &0x20_0000_u32.to_le_bytes()), // kernel_alignment
        (0x234, &[1, 21]),                     // relocatable_kernel, min_alignment
        (0x236, &3_u16.to_le_bytes()),         // xloadflags
        (0x238, &2047_u32.to_le_bytes()),      // cmdline_size
        (0x24c, &length.to_le_bytes()),        // payload_length, at payload_offset 0
        (0x260, &0x10_0000_u32.to_le_bytes()), // init_size
    ];
    for (offset, field) in fields {
        bytes[offset..offset + field.len()].copy_from_slice(field);
    }
    bytes[0x22c..0x230].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes()); // initrd_addr_max
    bytes[0x258..0x260].copy_from_slice(&0x100_0000_u64.to_le_bytes()); // pref_address
    bytes.extend(payload);
    bytes
}
