//! Whatever is wrong with a file, one line names it and says what, and nothing is started.

use std::{fs, io::Write, os::unix::fs::PermissionsExt};

use flate2::{Compression, write::GzEncoder};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tests::{Scratch, Vmm, bzimage::bzimage, guest, palisade};

/// Where an ELF header has the file's type, and the types that are not an executable's (gABI 4.1,
/// "ELF Header").
const E_TYPE: usize = 16;
const ET_REL: u16 = 1;
const ET_DYN: u16 = 3;
const ET_CORE: u16 = 4;
/// Where the guests of these tests have their code in their file.
const CODE_OFFSET: u64 = 0x1000;

/// A user without rights, on every Linux.
const NOBODY: u32 = 65534;

#[test]
fn a_kernel_that_cannot_be_read_is_refused() {
    let scratch = Scratch::new();
    scratch.file("empty", "");
    scratch.file("text", "not a kernel at all");
    scratch.file("elf", "\x7fELF");
    let image = guest::power_off("").expect("it can be assembled");
    scratch.file("cut", &image[..image.len() / 2]);
    // All headers are there, and the code that they tell of is not.
    let code = image.len() - usize::try_from(CODE_OFFSET).expect("it is small");
    let cut = format!(
        "ELF kernel cannot be loaded: segment 0: truncated: {code} bytes at offset {CODE_OFFSET:#x} \
         are not all there"
    );
    for (name, e_type) in [("relocatable", ET_REL), ("shared", ET_DYN), ("core", ET_CORE)] {
        let mut other = image.clone();
        other[E_TYPE..E_TYPE + 2].copy_from_slice(&e_type.to_le_bytes());
        scratch.file(name, other);
    }
    scratch.file("i386", [b"\x7fELF\x01\x01\x01" as &[u8], &[0; 100]].concat());
    let bz = bzimage(&image);
    scratch.file("cut-bzimage", &bz[..bz.len() / 2]);
    scratch.file("broken", bzimage(b"\x1f\x8b\x08\0nonsense of some length"));
    for (file, problem) in [
        ("missing", "can't open it: No such file or directory"),
        ("empty", "it is empty"),
        ("text", "it starts with 6e 6f 74 20 61 20 6b 65"),
        ("elf", "ELF kernel cannot be loaded: truncated: ELF header has 4 bytes, expected 64"),
        ("cut", &cut),
        ("i386", "ELF kernel cannot be loaded: ELF class 1, expected 2 (64-bit)"),
        ("relocatable", "ELF kernel cannot be loaded: ELF type 1, expected 2 (executable)"),
        ("shared", "ELF kernel cannot be loaded: ELF type 3, expected 2 (executable)"),
        ("core", "ELF kernel cannot be loaded: ELF type 4, expected 2 (executable)"),
        ("cut-bzimage", "outside the file of"),
        ("broken", "gzip payload"),
        (".", "not a regular file"),
        ("/dev/zero", "not a regular file"),
    ] {
        let vmm = Vmm::line("-m 16M").within(scratch.path()).kernel(file);
        let start = format!("-kernel {file}: ");
        let refused = vmm.run().refuses_to_start_with(&[&start, problem]);
        // Once is enough.
        assert_eq!(refused.stderr().matches(&format!("'{file}'")).count(), 0, "{refused}");
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
    let scratch = Scratch::new();
    let pipe = scratch.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
    let kernel = scratch.guest(guest::power_off(""));
    for vmm in [
        Vmm::line("-kernel pipe"),
        Vmm::line("-bios pipe"),
        Vmm::line("-initrd pipe -kernel").args([kernel]),
    ] {
        vmm.within(scratch.path())
            .run()
            .refuses_to_start_with(&["-", "pipe: it is not a regular file"]);
    }
}

#[test]
fn a_kernel_larger_than_memory_is_refused() {
    let scratch = Scratch::new();
    // 2 MiB of code, which is text here, at 1 MiB.
    let big = guests::PvhElf { address: 0x10_0000, code: &vec![0x90; 2 << 20], bss: 0 };
    let kernel = scratch.file("big", big.to_bytes());
    let vmm = Vmm::line("-no-reboot").kernel(&kernel);
    let refused = vmm.clone().and("-m 2M").run();
    refused.refuses_to_start_with(&["-kernel ", "big: ", "outside the guest's RAM of 2 MiB"]);
    let unpacked = scratch.file("unpacked", bzimage(&big.to_bytes()));
    let refused = Vmm::line("-m 2M").kernel(unpacked).run();
    refused.refuses_to_start_with(&["-kernel ", "unpacked: ", "2 MiB"]);
}

/// 256 MiB of zeros after `start`, which come to little when they are compressed.
fn bomb(start: &[u8]) -> Vec<u8> {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(start).expect("there is room");
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        bomb.write_all(&zeros).expect("there is room for what zeros come to");
    }
    let bomb = bomb.finish().expect("there is room");
    assert!(bomb.len() < 4 << 20, "{} bytes", bomb.len());
    bomb
}

#[test]
fn a_kernel_that_unpacks_without_end_is_refused_before_it_takes_the_hosts_memory() {
    let scratch = Scratch::new();
    let good = guest::power_off("").expect("it can be assembled");
    for (start, problem) in
        [(good.as_slice(), "more than the guest's RAM of 32 MiB"), (b"", "not an ELF file")]
    {
        let bomb = scratch.file("bomb", bzimage(&bomb(start)));
        // In less memory than the bomb comes to.
        let limited = ["-c", "ulimit -v 200000 && exec \"$0\" \"$@\""];
        let vmm = Vmm::of("/bin/sh", limited).args([palisade()]).and("-m 32M").kernel(bomb);
        vmm.run().refuses_to_start_with(&["-kernel ", "bomb: ", problem]);
    }
}

#[test]
fn an_initrd_is_read_as_carefully() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("ran"));
    let vmm = Vmm::line("-m 16M").within(scratch.path()).kernel(kernel);
    scratch.file("large", vec![1; 16 << 20]);
    scratch.file("small", "a RAM disk");
    for (file, problem) in [
        ("missing", "No such file or directory"),
        (".", "not a regular file"),
        ("large", "initial RAM disk of 16 MiB does not fit"),
    ] {
        let refused = vmm.clone().and("-initrd").and(file).run();
        refused.refuses_to_start_with(&[&format!("-initrd {file}: "), problem]);
    }
    vmm.and("-initrd small").run().code(0).says_only("ran").complains_only(&[]);
    Vmm::line("-initrd x").run().refuses_to_start_with(&["-initrd x: ", "give -kernel"]);
    Vmm::line("-append x").run().refuses_to_start_with(&["-append x: ", "give -kernel"]);
}

#[test]
fn firmware_has_a_size_that_firmware_has() {
    let scratch = Scratch::new();
    for size in [0, 1, 65535, 65537, (16 << 20) + 65536] {
        let bios = scratch.file("bios", vec![0xf4; size]);
        let refused = Vmm::line("-m 16M -bios").args([bios]).run();
        refused.refuses_to_start_with(&[
            "-bios ",
            "bios: ",
            &format!("it has {size} bytes"),
            "64 KiB, up to 16 MiB",
        ]);
    }
    for (file, problem) in [("/nonexistent", "No such file"), ("/dev/zero", "not a regular file")] {
        let refused = Vmm::line("-bios").args([file]).run();
        refused.refuses_to_start_with(&[&format!("-bios {file}: "), problem]);
    }
    let bios = scratch.file("bios", guest::firmware(""));
    let kernel = scratch.guest(guest::power_off(""));
    let both = Vmm::line("-m 16M -bios").args([bios]).kernel(kernel).run();
    both.refuses_to_start_with(&[
        "-kernel ",
        "guest.elf: firmware '",
        "bios' finds no kernel here",
        "give -kernel or -bios, not both",
    ]);
}

#[test]
fn an_accelerator_that_cannot_be_had_is_refused() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("")));
    vmm.clone().and("-accel kvm,device=/nonexistent").run().refuses_to_start(
        "-accel kvm,device=/nonexistent: \"/nonexistent\" does not exist: is the kernel's kvm \
         module loaded?",
    );
    for device in ["/dev/null", "/dev/zero"] {
        let option = format!("-accel kvm,device={device}");
        let problem = "is not a KVM device: it does not answer KVM_GET_API_VERSION";
        let line = format!("{option}: \"{device}\" {problem}");
        vmm.clone().and(&option).run().refuses_to_start(&line);
    }
    vmm.clone()
        .and("-accel kvm,device=/")
        .run()
        .refuses_to_start("-accel kvm,device=/: cannot open \"/\": Is a directory (os error 21)");
    vmm.and("-accel kvm -accel kvm").run().refuses_to_start(
        "-accel kvm: a machine has one accelerator, and another was named before",
    );
}

#[test]
fn what_the_host_refuses_is_told_once_with_its_reason() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off(""));
    let limited = |limit: &str| {
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        Vmm::of("/bin/sh", ["-c", &script]).args([palisade()]).kernel(&kernel)
    };
    let reason = "Cannot allocate memory (os error 12)";
    // More than the limit, less than any host has.
    let refused = limited("-v 500000").and("-m 512M").run();
    let refused = refused.refuses_to_start_with(&["-m 512M: the host can't give", reason]);
    assert_eq!(refused.stderr().matches(reason).count(), 1, "{refused}");
    let refused = limited("-n 4").and("-m 16M").run();
    refused.refuses_to_start_with(&["", "Too many open files (os error 24)"]);
}

#[test]
fn an_accelerator_that_the_user_may_not_use_is_refused_with_what_to_do() {
    let scratch = Scratch::new();
    let node = scratch.file("kvm", "");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let kernel = scratch.guest(guest::power_off(""));
    // Where another user may be kept from the build's folder, and everybody but its owner from
    // temporary ones.
    let program = scratch.path().join("palisade");
    fs::copy(palisade(), &program).expect("there is room for a copy");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let option = format!("-accel kvm,device={}", node.display());
    let mut vmm = Vmm::of(program, ["-m", "16M"]).kernel(kernel).and(&option);
    if rustix::process::geteuid().is_root() {
        vmm = vmm.user(NOBODY);
    }
    let problem = format!("{option}: no permission to open {node:?} for reading and writing");
    let reason = "Permission denied (os error 13)";
    vmm.run().refuses_to_start(&format!("{problem}: {reason}"));
    // Where a group may, it is the group to be in.
    fs::set_permissions(&node, fs::Permissions::from_mode(0o060)).expect("it is ours");
    if rustix::process::geteuid().is_root() {
        let group = "(members of group 'root' have it; ask to be added to it)";
        vmm.run().refuses_to_start(&format!("{problem} {group}: {reason}"));
    }
}

#[test]
fn a_configuration_file_is_wrong_at_a_line() {
    let scratch = Scratch::new();
    for (text, line) in [
        (
            "[machine]\n  type = \"microvm\"\nfoo\n",
            "vm.cfg:3: expected [group], [group \"id\"] or key = \"value\", given 'foo'",
        ),
        (
            "# devices\n\n[devic \"x\"]\n",
            "vm.cfg:3: [devic]: unknown section, expected accel, chardev, compat, device, drive, \
             global, machine, memory, name, netdev, object or smp-opts; did you mean 'device'?",
        ),
        (
            "type = \"microvm\"\n",
            "vm.cfg:1: type: expected a section such as [machine] before the first key",
        ),
        (
            "[machine]\n  type = \"none\"\n[device \"a\"]\n  driver = \"pvpanic\"\n  iopot = \"1\"\n",
            "vm.cfg:5: Property 'pvpanic.iopot' not found; did you mean 'ioport'?",
        ),
        (
            "[memory]\n  size = \"5Q\"\n",
            "vm.cfg:2: size: expected a number and optionally B, K, M, \
          G, T, P or E (such as 512M or 1.5G), given '5Q'",
        ),
        (
            "[compat]\n  insecure-types = \"no\"\n",
            "vm.cfg:2: Parameter 'insecure-types' does not accept value 'no' (expected accept, warn, \
             reject or crash)",
        ),
        (
            "[machine]\n  rtc = \"on\"\n  pit = \"maybe\"\n",
            "vm.cfg:3: Parameter 'pit' expects 'on' or 'off', got 'maybe'",
        ),
        (
            "[machine]\n  rtc = \"on\"\n  kernel = \"missing\"\n",
            "vm.cfg:3: 'missing': can't open it: No such file or directory (os error 2)",
        ),
        (
            "[accel]\n  accel = \"kvm\"\n  kernel-irqchip = \"onn\"\n",
            "vm.cfg:3: Parameter 'kernel-irqchip' does not accept value 'onn' (expected split or \
             on); did you mean 'on'?",
        ),
        (
            "[device]\n  driver = \"pvpanic\"\n[global]\n  driver = \"pvpanic\"\n  property = \
             \"ioport\"\n  value = \"x\"\n",
            "vm.cfg:6: Parameter 'ioport' expects an integer from 0 to 65535, got 'x'",
        ),
        (
            "[device]\n\n  driver = \"pvpanc\"\n",
            "vm.cfg:3: 'pvpanc' is not a valid device model name; did you mean 'pvpanic'?",
        ),
        ("[device \"a\"]\n", "vm.cfg:1: Parameter 'driver' is missing"),
    ] {
        scratch.file("vm.cfg", text);
        let vmm = Vmm::line("-readconfig vm.cfg").within(scratch.path());
        vmm.run().refuses_to_start(line);
    }
    scratch.file("vm.cfg", "[machine]\n\n[device \"x\"]\n  driver = \"isa-debug-exit\"\n");
    let refused = Vmm::line("-readconfig vm.cfg").within(scratch.path()).run().code(1);
    let first = "palisade: vm.cfg:3: Type 'isa-debug-exit' is declared as insecure";
    assert_eq!(refused.lines()[0], first, "{refused}");
    let pipe = scratch.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
    for (file, problem) in [
        ("missing", "can't open it: No such file or directory (os error 2)"),
        (".", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
    ] {
        let vmm = Vmm::line("-readconfig").within(scratch.path()).and(file);
        vmm.run().refuses_to_start(&format!("-readconfig {file}: {problem}"));
    }
}
