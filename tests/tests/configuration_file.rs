//! `-readconfig` says the same as the options that its sections stand for.

use tests::{Scratch, Vmm, guest};

#[test]
fn a_configuration_file_is_as_good_as_the_options() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::debug_exit("ran", 5));
    let file = format!(
        "# A machine.\n[machine]\n  type = \"microvm\"\n  kernel-irqchip = \"on\"\n  \
         kernel = \"{}\"\n\n[memory]\n  size = \"16M\"\n[smp-opts]\n  cpus = \"2\"\n\
         [device \"exit\"]\n  driver = \"isa-debug-exit\"\n[device]\n  driver = \"pvpanic\"\n\
         [global]\n  driver = \"pvpanic\"\n  property = \"ioport\"\n  value = \"0x700\"\n\
         [compat]\n  insecure-types = \"warn\"\n[name]\n  guest = \"a guest\"\n",
        kernel.display()
    );
    scratch.file("vm.cfg", file);
    let options = "-machine microvm,kernel-irqchip=on -m 16M -smp 2 -device isa-debug-exit,id=exit \
                   -device pvpanic -global pvpanic.ioport=0x700 -compat insecure-types=warn";
    let by_options = Vmm::line(options).kernel(&kernel).run().code(11).says_only("ran");
    let by_file = Vmm::line("-readconfig vm.cfg").within(scratch.path()).run().code(11);
    let by_file = by_file.says_only("ran");
    // The same lines, but for who asks.
    let said: Vec<_> = by_options
        .lines()
        .into_iter()
        .map(|line| line.replace("-device isa-debug-exit,id=exit: ", "vm.cfg:11: "))
        .map(|line| line.replacen("palisade: ", "palisade[a guest]: ", 1))
        .collect();
    assert_eq!(by_file.lines(), said);
    assert_eq!(said.len(), 3, "{by_options}");
}

#[test]
fn options_after_the_file_replace_what_it_says_and_those_before_are_replaced() {
    let scratch = Scratch::new();
    scratch.file("vm.cfg", "[machine]\n  type = \"none\"\n");
    let kernel = scratch.guest(guest::power_off("ran"));
    let vmm = |options: &str| Vmm::line(options).within(scratch.path()).kernel(&kernel);
    vmm("-m 16M -readconfig vm.cfg -machine microvm").run().code(0).says_only("ran");
    vmm("-m 16M -machine microvm -readconfig vm.cfg")
        .run()
        .refuses_to_start_with(&["-kernel ", "machine 'none' runs no guest"]);
}

#[test]
fn a_file_cannot_take_back_what_the_command_line_demands_of_the_policy() {
    let scratch = Scratch::new();
    let text = "[compat]\n  insecure-types = \"accept\"\n[machine]\n  require-secure = \"no\"\n";
    scratch.file("vm.cfg", text);
    for options in [
        "-machine require-secure=yes -readconfig vm.cfg -device isa-debug-exit",
        "-readconfig vm.cfg -device isa-debug-exit -compat insecure-types=reject",
    ] {
        let refused = Vmm::line(options).within(scratch.path()).run().code(1);
        refused.complains("-device isa-debug-exit: Type 'isa-debug-exit' is declared as insecure");
    }
}
