//! Whatever is wrong with an option, one line says what and where, and nothing is started.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use tests::{Scratch, Vmm, guest};

/// Checks the line for each command line of words without blanks.
fn each_is_refused(cases: &[(&str, &str)]) {
    for (options, line) in cases {
        Vmm::line(options).run().refuses_to_start(line);
    }
}

#[test]
fn an_unknown_option_or_word_is_named_with_the_nearest() {
    each_is_refused(&[
        ("-kernl x", "-kernl: unknown option; did you mean '-kernel'?"),
        ("--kernl=x", "--kernl: unknown option; did you mean '-kernel'?"),
        ("-frobnicate", "-frobnicate: unknown option"),
        ("-S -S=on", "-S=on: this option takes no value"),
        ("-m 16M -kernel", "-kernel: expected a value (FILE), given none"),
        ("disk.img", "'disk.img': unexpected argument, expected an option"),
        ("-S kernel", "'kernel': unexpected argument, expected an option; did you mean '-kernel'?"),
        ("dmeo", "'dmeo': unexpected argument, expected an option; did you mean 'demo'?"),
        ("types --jsn", "types: unknown argument '--jsn'; did you mean '--json'?"),
        ("types isa-serail", "types: no type is called 'isa-serail'; did you mean 'isa-serial'?"),
    ]);
}

#[test]
fn an_unknown_type_is_named_with_the_nearest_of_its_kind() {
    each_is_refused(&[
        (
            "-device isa-serail",
            "-device isa-serail: 'isa-serail' is not a valid device model name; did you mean \
             'isa-serial'?",
        ),
        ("-device", "-device: expected a value (TYPE[,...]), given none"),
        (
            "-device isa-device",
            "-device isa-device: Parameter 'driver' expects a non-abstract device type",
        ),
        (
            "-device kvmclock",
            "-device kvmclock: Parameter 'driver' expects a pluggable device type",
        ),
        (
            "-device microvm-machine",
            "-device microvm-machine: 'microvm-machine' is not a valid device model name",
        ),
        ("-accel kwm", "-accel kwm: invalid accelerator kwm; did you mean 'kvm'?"),
        ("-accel tcg", "-accel tcg: invalid accelerator tcg"),
        ("-cpu hots", "-cpu hots: unable to find CPU model 'hots'; did you mean 'host'?"),
        ("-object device,id=a", "-object device,id=a: object type 'device' is abstract"),
        (
            "-object pvpanic,id=a",
            "-object pvpanic,id=a: object type 'pvpanic' isn't supported by object-add",
        ),
        ("-object warp-core,id=a", "-object warp-core,id=a: invalid object type: warp-core"),
        (
            "-chardev nul,id=a",
            "-chardev nul,id=a: 'nul' is not a valid char driver name; did you mean 'null'?",
        ),
        (
            "-serial stdoi",
            "-serial stdoi: expected stdio, null, pty, none, file:PATH, pipe:PATH, unix:PATH, \
             tcp:HOST:PORT, udp:HOST:PORT or chardev:ID, given 'stdoi'; did \
             you mean 'stdio'?",
        ),
        (
            "-device pvpanc,help",
            "-device pvpanc,help: 'pvpanc' is not a valid device model name; did you mean \
             'pvpanic'?",
        ),
    ]);
}

#[test]
fn an_unknown_machine_is_named_with_the_nearest_and_where_to_look() {
    for options in ["-machine microwm", "-M type=microwm", "--machine=microwm"] {
        let refused = Vmm::line(options).run();
        let refused = refused.refuses_to_start_with(&["-machine "]);
        let problem = ": unsupported machine type: \"microwm\"; did you mean 'microvm'? (use \
                       -machine help to list supported machines)\n";
        assert!(refused.stderr().ends_with(problem), "{refused}");
    }
}

#[test]
fn an_unknown_property_is_named_with_the_nearest() {
    each_is_refused(&[
        (
            "-device pvpanic,iopot=4",
            "-device pvpanic,iopot=4: Property 'pvpanic.iopot' not found; did you mean 'ioport'?",
        ),
        (
            "-accel kvm,devic=x",
            "-accel kvm,devic=x: Property 'kvm-accel.devic' not found; did you mean 'device'?",
        ),
        (
            "-machine microvm,frob=1",
            "-machine microvm,frob=1: Property 'microvm-machine.frob' not found",
        ),
        (
            "-machine none,requre-secure=yes",
            "-machine none,requre-secure=yes: Property 'none-machine.requre-secure' not found; did \
             you mean 'require-secure'?",
        ),
        (
            "-machine kernel-irqchp=on",
            "-machine kernel-irqchp=on: Property 'microvm-machine.kernel-irqchp' not found; did \
             you mean 'kernel-irqchip'?",
        ),
        (
            "-machine cpu-type=hots",
            "-machine cpu-type=hots: 'hots' is no type of processor; did you mean \
             'host-x86_64-cpu'?",
        ),
        (
            "-machine cpu-type=host",
            "-machine cpu-type=host: 'host' is no type of processor; did you mean \
             'host-x86_64-cpu'?",
        ),
        (
            "-chardev stdio,id=a,signl=off",
            "-chardev stdio,id=a,signl=off: Property 'chardev-stdio.signl' not found; did you mean \
             'signal'?",
        ),
        (
            "-smp cpu=2",
            "-smp cpu=2: cpu: unknown key, expected cpus, maxcpus, sockets, cores or threads; did you mean 'cpus'?",
        ),
    ]);
}

#[test]
fn a_bad_value_is_refused_with_what_is_expected() {
    let range = "Parameter 'ioport' expects an integer from 0 to 65535, got";
    for value in ["zz", "70000", "-1", "0x", "1.5"] {
        let option = format!("-device pvpanic,ioport={value}");
        Vmm::line(&option).run().refuses_to_start(&format!("{option}: {range} '{value}'"));
    }
    for options in [
        "-device pvpanic,events=8",
        "-chardev stdio,id=a,signal=maybe",
        "-machine microvm,rtc=maybe",
    ] {
        let start = format!("{options}: Parameter '");
        Vmm::line(options).run().refuses_to_start_with(&[&start, "' expects "]);
    }
    each_is_refused(&[(
        "-accel kvm,kernel-irqchip=of",
        "-accel kvm,kernel-irqchip=of: Parameter 'kernel-irqchip' does not accept value 'of' \
         (expected split or on)",
    )]);
}

#[test]
fn json_is_read_as_strictly_as_pairs() {
    for (json, parts) in [
        (r#"{"driver":"pvpanic""#, &["invalid JSON", "line 1 column"] as &[_]),
        (r#"{"driver":"pvpanic","ioport":"x"}"#, &["Parameter 'ioport' expects an integer"]),
        (r#"{"driver":"pvpanic","iopot":5}"#, &["did you mean 'ioport'?"]),
        ("[]", &["invalid JSON: expected an object"]),
        (r#"["pvpanic"]"#, &["invalid JSON: expected an object"]),
        (r#"{"driver":5}"#, &["driver: expected a string, given 5"]),
        (r#"{"ioport":5}"#, &["Parameter 'driver' is missing"]),
        (r#"{"driver":"pvpanic","driver":"pvpanic"}"#, &["driver"]),
    ] {
        let vmm = Vmm::new(["-machine", "none", "-device", json]);
        let start = format!("-device {json}: ");
        let parts: Vec<&str> = [start.as_str()].into_iter().chain(parts.iter().copied()).collect();
        vmm.run().refuses_to_start_with(&parts);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_wherever_they_are() {
    let bytes = OsString::from_vec(b"a\xff".to_vec());
    for before in [&["-name"] as &[&str], &["-S", "-kernel"], &[]] {
        let line = match before.len() {
            0 => "'a\u{fffd}': unexpected argument, expected an option".to_owned(),
            known => {
                format!("argument {}: expected text in UTF-8, given 'a\u{fffd}'", known + 1)
            }
        };
        Vmm::new(before).args([&bytes]).run().refuses_to_start(&line);
    }
}

#[test]
fn a_device_stands_on_a_bus_that_the_machine_has() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("ran"));
    let vmm = Vmm::line("-m 16M").kernel(&kernel);
    vmm.and("-device pvpanic,bus=isa.0").run().code(0).says_only("ran");
    each_is_refused(&[
        ("-device pvpanic,bus=pci.0", "-device pvpanic,bus=pci.0: Bus 'pci.0' not found"),
        ("-device pvpanic,bus=", "-device pvpanic,bus=: Bus '' not found"),
        (
            "-device {\"driver\":\"pvpanic\",\"bus\":5}",
            "-device {\"driver\":\"pvpanic\",\"bus\":5}: Bus '5' not found",
        ),
    ]);
}

#[test]
fn an_id_is_given_once() {
    each_is_refused(&[
        (
            "-machine none -device pvpanic,id=a -device isa-debugcon,id=a",
            "-device isa-debugcon,id=a: Duplicate device ID 'a'",
        ),
        (
            "-machine none -chardev null,id=a -chardev stdio,id=a",
            "-chardev stdio,id=a: Duplicate chardev ID 'a'",
        ),
        (
            "-machine none -netdev hubport,id=a,hubid=1 -netdev user,id=a",
            "-netdev user,id=a: Duplicate netdev ID 'a'",
        ),
        ("-netdev user", "-netdev user: Parameter 'id' is missing"),
        ("-chardev null", "-chardev null: Parameter 'id' is missing"),
        ("-object secret", "-object secret: Parameter 'id' is missing"),
        ("-object id=a", "-object id=a: Parameter 'qom-type' is missing"),
    ]);
    Vmm::line("-device pvpanic,id=1a").run().refuses_to_start_with(&["-device pvpanic,id=1a: "]);
}

#[test]
fn two_devices_at_one_address_are_refused_with_both_named() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("")));
    vmm.clone().and("-device isa-serial,id=s").run().refuses_to_start(
        "-device isa-serial,id=s: ports 0x3f8-0x3ff are taken by '/machine/unattached/serial0' \
         (type 'isa-serial')",
    );
    vmm.clone().and("-device pvpanic,id=a -device pvpanic").run().refuses_to_start_with(&[
        "-device pvpanic: ",
        "0x505",
        "taken by '/machine/peripheral/a' (type 'pvpanic')",
    ]);
    // Somewhere else, on an interrupt of its own, a second one is fine.
    vmm.and("-device isa-serial,iobase=0x2f8,irq=3").run().code(0);
}

#[test]
fn two_options_that_contradict_each_other_are_both_named() {
    for (options, machine, property) in [
        ("-accel kvm,kernel-irqchip=on", "-machine kernel-irqchip=split", "kernel-irqchip"),
        ("-kernel a", "-machine kernel=b", "kernel"),
        ("-initrd a", "-machine initrd=b", "initrd"),
        ("-bios a", "-machine bios=b", "bios"),
        ("-append a", "-machine append=b", "append"),
        ("-smp 2", "-machine cpus=3", "cpus"),
        ("-smp 2,threads=2", "-machine threads=1", "threads"),
        ("-m 1G", "-machine memory-size=2G", "memory-size"),
        ("-cpu host,+popcnt", "-machine cpu-features=-popcnt", "cpu-features"),
        ("-serial none", "-machine isa-serial=on", "isa-serial"),
        ("-serial null", "-machine serial0=c", "serial0"),
    ] {
        let line = format!("{options}: '{machine}' gives '{property}' another value");
        Vmm::line(options).and(machine).run().refuses_to_start(&line);
        Vmm::line(machine).and(options).run().refuses_to_start(&line);
    }
    // The same twice, however it is written, is no contradiction.
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("ran"));
    let same = "-m 16M -machine memory-size=0x1000000 -smp 1 -machine cpus=1 -chardev stdio,id=c \
                -serial chardev:c -machine serial0=c -accel kvm,kernel-irqchip=split \
                -machine kernel-irqchip=split";
    let same =
        Vmm::line(same).kernel(&kernel).args([format!("-machine=kernel={}", kernel.display())]);
    same.run().code(0).says_only("ran").complains_only(&[]);
}

#[test]
fn one_stdio_is_for_one_stream() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("ran")));
    let both = vmm.clone().and("-chardev stdio,id=x");
    both.run().refuses_to_start(
        "default serial port (give -serial none, or -serial chardev:x): standard input and output \
         are in use by another chardev-stdio",
    );
    both.clone().and("-serial none").run().code(0).says_only("");
    both.and("-serial chardev:x").run().code(0).says_only("ran");
    Vmm::line("-machine none -chardev stdio,id=a -chardev stdio,id=b").run().refuses_to_start(
        "-chardev stdio,id=b: standard input and output are in use by another chardev-stdio",
    );
    vmm.clone()
        .and("-serial stdio -serial null")
        .run()
        .refuses_to_start("-serial null: machine 'microvm' has one serial port");
    vmm.and("-serial chardev:nope")
        .run()
        .refuses_to_start("-serial chardev:nope: no character device is called 'nope'");
}

#[test]
fn processors_are_counted_from_one_to_what_the_machine_can_have() {
    each_is_refused(&[
        ("-smp 0", "-smp 0: cpus: expected a whole number from 1 to 4294967295, given '0'"),
        (
            "-smp 300",
            "-smp 300: Invalid SMP CPUs 300. The max CPUs supported by machine 'microvm' is 255",
        ),
        (
            "-smp 2,sockets=3",
            "-smp 2,sockets=3: sockets * cores * threads: expected the product to be 2 (cpus), \
             given 3 * 1 * 1",
        ),
        (
            "-smp 2,maxcpus=4",
            "-smp 2,maxcpus=4: maxcpus 4 is more than cpus 2, and no processor can be added later",
        ),
    ]);
    Vmm::line("-smp -1").run().refuses_to_start_with(&["-smp -1: cpus: expected a whole number"]);
}

#[test]
fn memory_is_a_size_that_the_host_can_give() {
    each_is_refused(&[
        ("-m 0", "-m 0: size: expected a size above zero, given '0'"),
        ("-m -5", "-m -5: size: expected a size that is not negative, given '-5'"),
        (
            "-m 99999999999999999G",
            "-m 99999999999999999G: size: expected a size below 16E, given '99999999999999999G'",
        ),
    ]);
    for bad in ["5Q", "1.G", "M", "5 M", "0x"] {
        let vmm = Vmm::new(["-m", bad]);
        vmm.run().refuses_to_start_with(&[&format!("-m {bad}: size: expected a number"), bad]);
    }
    let scratch = Scratch::new();
    let vmm = Vmm::new(["-kernel"]).args([scratch.guest(guest::power_off(""))]);
    for (size, parts) in [
        ("64T", ["64 TiB of guest memory", "more than the host's"]),
        ("5000000B", ["RAM of 5000000 bytes", "not a multiple of the page size"]),
        ("1M", ["RAM of 1 MiB", "below the board's least size of 2 MiB"]),
    ] {
        let start = format!("-m {size}: ");
        let refused = vmm.clone().and("-m").and(size).run();
        refused.refuses_to_start_with(&[&start, parts[0], parts[1]]);
    }
    vmm.and("-m 8191K").run().refuses_to_start_with(&["-m 8191K: ", "page size"]);
}

#[test]
fn chips_of_the_kernel_are_refused_where_the_kernel_has_none() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("")));
    for chip in ["pic", "pit"] {
        let option = format!("-machine {chip}=on");
        let problem = format!(
            "{chip}=on needs the interrupt chips in the kernel: -accel kvm,kernel-irqchip=on"
        );
        vmm.clone().and(&option).run().refuses_to_start_with(&["-machine ", &problem]);
    }
}

#[test]
fn what_comes_with_the_chips_of_the_kernel_can_not_be_left_out() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("")));
    for (option, place) in [
        ("-machine kernel-irqchip=on,pic=off", "-machine kernel-irqchip=on,pic=off"),
        ("-accel kvm,kernel-irqchip=on -M pic=off", "-machine pic=off"),
    ] {
        vmm.clone().and(option).run().refuses_to_start(&format!(
            "{place}: kernel-irqchip=on comes with its PIC: pic=off needs kernel-irqchip=split"
        ));
    }
    vmm.and("-machine pic=off").run().code(0).complains_only(&[]);
}

#[test]
fn machine_none_takes_nothing_that_is_for_a_guest() {
    each_is_refused(&[
        ("-machine none -kernel x", "-kernel x: machine 'none' runs no guest"),
        ("-machine none -bios x", "-bios x: machine 'none' runs no guest"),
        ("-machine none -initrd x", "-initrd x: machine 'none' runs no guest"),
        ("-machine none -append x", "-append x: machine 'none' runs no guest"),
        ("-machine none -m 1T", "-m 1T: machine 'none' runs no guest"),
        (
            "-machine none,memory-size=1T",
            "-machine none,memory-size=1T: machine 'none' runs no guest",
        ),
        (
            "-machine none,cpus=2",
            "-machine none,cpus=2: Invalid SMP CPUs 2. The max CPUs supported by machine 'none' \
             is 1",
        ),
        ("-machine none,cpus=1", "-machine none,cpus=1: a processor has a type: give -cpu"),
        (
            "-machine none,cpus=0 -cpu host",
            "-machine none,cpus=0: 'host-x86_64-cpu' is one processor",
        ),
        (
            "-machine none,cpu-features=+popcnt",
            "-machine none,cpu-features=+popcnt: there is no processor for them: give -cpu",
        ),
        (
            "-machine none,cpu-type=hots",
            "-machine none,cpu-type=hots: 'hots' is no type of processor; did you mean \
             'host-x86_64-cpu'?",
        ),
        (
            "-machine none -cpu host,+popcn",
            "-cpu host,+popcn: no CPU feature is named 'popcn'; did you mean 'popcnt'?",
        ),
        ("-machine none -serial stdio", "-serial stdio: machine 'none' has no serial port"),
        (
            "-machine none -smp 2",
            "-smp 2: Invalid SMP CPUs 2. The max CPUs supported by machine 'none' is 1",
        ),
        (
            "-machine none -smp 1,maxcpus=2",
            "-smp 1,maxcpus=2: Invalid SMP CPUs 2. The max CPUs supported by machine 'none' is 1",
        ),
    ]);
}

#[test]
fn a_policy_that_cannot_be_read_is_no_policy() {
    each_is_refused(&[
        (
            "-compat insecure-types=acept",
            "-compat insecure-types=acept: Parameter 'insecure-types' does not accept value \
             'acept' (expected accept, warn, reject or crash); did you mean 'accept'?",
        ),
        (
            "-machine require-secure=maybe",
            "-machine require-secure=maybe: Parameter 'require-secure' does not accept value \
             'maybe' (expected yes, no, on or off)",
        ),
    ]);
    Vmm::line("-compat insecure-tpyes=accept").run().refuses_to_start_with(&[
        "-compat insecure-tpyes=accept: ",
        "did you mean 'insecure-types'?",
    ]);
    // A switch of the policy is none of a device, and does not pass for one.
    Vmm::line("-machine none -device pvpanic,require-secure=no").run().refuses_to_start_with(&[
        "-device pvpanic,require-secure=no: Property 'pvpanic.require-secure' not found",
    ]);
}

#[test]
fn what_the_machine_says_of_accelerator_and_serial_port_counts() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("ran")));
    vmm.clone().and("-machine microvm,accel=kvm").run().code(0).says_only("ran");
    vmm.clone().and("-chardev stdio,id=c -machine serial0=c").run().code(0).says_only("ran");
    vmm.clone().and("-chardev null,id=c -machine serial0=c").run().code(0).says_only("");
    for (options, line) in [
        ("-machine accel=kvn", "-machine accel=kvn: invalid accelerator kvn; did you mean 'kvm'?"),
        ("-machine accel=tcg", "-machine accel=tcg: invalid accelerator tcg"),
        (
            "-machine accel=kvm -accel kvm",
            "-machine accel=kvm: a machine has one accelerator, and another was named before",
        ),
        (
            "-machine serial0=nope",
            "-machine serial0=nope: Parameter 'serial0' refers to 'nope', which does not exist",
        ),
    ] {
        vmm.clone().and(options).run().refuses_to_start(line);
    }
}

#[test]
fn a_global_for_a_class_that_is_not_there_is_a_warning_and_a_bad_one_is_refused() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::power_off("ran")));
    let warned = vmm.clone().and("-global nosuch.x=1 -global pvpanic.ioport=5").run().code(0);
    warned.says_only("ran").complains_only(&[
        "palisade: warning: global nosuch.x=1 has invalid class name",
        "palisade: warning: global pvpanic.ioport=5 not used",
    ]);
    let near = "-global isa-serail.irq=7 -global pvpanic.iopot=5 -global isa-device.ioprt=5";
    vmm.clone().and(near).run().code(0).says_only("ran").complains_only(&[
        "palisade: warning: global isa-serail.irq=7 has invalid class name; did you mean \
         'isa-serial'?",
        "palisade: warning: global pvpanic.iopot=5 not used; did you mean 'ioport'?",
        "palisade: warning: global isa-device.ioprt=5 not used; did you mean 'ioport'?",
    ]);
    let used = vmm.clone().and("-device pvpanic -global pvpanic.ioport=0x700").run().code(0);
    used.says_only("ran").complains_only(&[]);
    for (global, problem) in [
        ("pvpanic.ioport=zz", "Parameter 'ioport' expects an integer from 0 to 65535, got 'zz'"),
        ("pvpanic.iopot=1", "Property 'pvpanic.iopot' not found; did you mean 'ioport'?"),
        (
            "isa-serial.iobase=70000",
            "Parameter 'iobase' expects an integer from 0 to 65535, got '70000'",
        ),
        ("microvm-machine.memory-size=1M", "RAM of 1 MiB is below the board's least size of 2 MiB"),
    ] {
        // Without -m, which would say otherwise of the memory.
        let vmm = Vmm::line("-device pvpanic -kernel").args([scratch.path().join("guest.elf")]);
        let refused = vmm.and("-global").and(global).run();
        refused.refuses_to_start(&format!("-global {global}: {problem}"));
    }
    Vmm::line("-global pvpanic").run().refuses_to_start_with(&["-global pvpanic: expected "]);
}
