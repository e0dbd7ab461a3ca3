//! Platforms: what devices of one machine share, who gets it, and what is left when one goes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use device_model::{
    bus::ClaimError, interrupt::LineError, platform::RoleError, prelude::*, realize::DeviceRealizer,
};
use qom_core::{CreateError, Globals, Policy, Registry, Request, Tree};

/// An interrupt controller with a few pins
#[qom_type(secure, parent = SysBusDevice, interfaces(InterruptController, MsiSink))]
struct Pic {
    levels: AtomicU64,
}

impl Device for Pic {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl SysBusDevice for Pic {}

impl InterruptController for Pic {
    fn pins(&self) -> u32 {
        16
    }

    fn set_level(&self, pin: u32, level: bool) {
        let bit = 1 << pin;
        if level {
            self.levels.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.levels.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

impl MsiSink for Pic {
    fn send(&self, _: Msi) {}
    fn route(&self, _: u32, _: Option<Msi>) {}
}

/// A device that claims ports, memory and a line, and may fail after that
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo, MemoryIo))]
struct Card {
    /// First port
    #[property(default = 0x300)]
    iobase: u16,
    /// Interrupt
    #[property(default = 5)]
    irq: u32,
    /// Whether it fails once it has claimed all
    #[property]
    fails: bool,
    unrealized: AtomicU64,
}

impl Device for Card {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_memory(0, u64::from(self.iobase) << 12, 0x1000)?;
        cx.claim_ports(0, self.iobase, 4)?;
        cx.interrupt_line(self.irq)?.set_level(true);
        if self.fails {
            return Err(DeviceError::configuration("it is told to fail"));
        }
        Ok(())
    }

    fn unrealize(&self) {
        self.unrealized.fetch_add(1, Ordering::Relaxed);
    }
}

impl IsaDevice for Card {}

impl PortIo for Card {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(0);
    }
    fn write(&self, _: u8, _: u64, _: &[u8]) {}
}

impl MemoryIo for Card {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(0);
    }
    fn write(&self, _: u8, _: u64, _: &[u8]) {}
}

fn tree() -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).expect("an empty tree")
}

fn create(tree: &Tree, platform: &Platform, request: Request) -> Result<Obj, String> {
    let created = tree.create([request], &mut DeviceRealizer::new(platform));
    let created = created.map_err(|error| error.to_string())?;
    Ok(created.objects.last().expect("it").clone())
}

fn machine() -> (Tree, Platform, Obj) {
    let tree = tree();
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    let pic = create(&tree, &platform, Request::new("pic", "/", "pic")).expect("it is secure");
    platform.set_interrupts(&pic).expect("it is the first");
    (tree, platform, pic)
}

fn card(name: &str) -> Request {
    Request::new("card", "/", name)
}

fn claimed(platform: &Platform) -> (usize, usize) {
    (platform.ports().regions().len(), platform.memory_io().regions().len())
}

#[test]
fn a_device_gets_what_it_claims_and_gives_it_back_when_it_goes() {
    let (tree, platform, pic) = machine();
    let object = create(&tree, &platform, card("c")).expect("all is free");
    assert_eq!(claimed(&platform), (1, 1));
    assert_eq!(pic.cast::<Pic>().expect("it is").levels.load(Ordering::Relaxed), 1 << 5);
    tree.remove(&object, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    assert_eq!(claimed(&platform), (0, 0));
    assert_eq!(pic.cast::<Pic>().expect("it is").levels.load(Ordering::Relaxed), 0);
    let device = object.cast::<Card>().expect("it is a card");
    assert_eq!(device.unrealized.load(Ordering::Relaxed), 1);
    create(&tree, &platform, card("d")).expect("all is free again");
}

#[test]
fn a_device_that_fails_has_claimed_nothing() {
    let (tree, platform, pic) = machine();
    let error = create(&tree, &platform, card("c").set("fails", "on")).unwrap_err();
    assert_eq!(error, "it is told to fail");
    assert_eq!(claimed(&platform), (0, 0));
    let levels = pic.cast::<Pic>().expect("it is").levels.load(Ordering::Relaxed);
    assert_eq!(levels, 0, "the line that it raised is low");
    assert_eq!(tree.walk().len(), 2);
    create(&tree, &platform, card("c")).expect("the line is free as well");
}

#[test]
fn a_conflict_names_the_device_that_is_there_and_leaves_it_alone() {
    let (tree, platform, _) = machine();
    create(&tree, &platform, card("c")).expect("all is free");
    let ports = create(&tree, &platform, card("d").set("iobase", "0x301")).unwrap_err();
    assert_eq!(ports, "ports 0x301-0x304 are taken by '/c' (type 'card')");
    let line = create(&tree, &platform, card("d").set("iobase", "0x400")).unwrap_err();
    assert_eq!(line, "interrupt 5 is taken by '/c' (type 'card')");
    assert_eq!(claimed(&platform), (1, 1));
    let pin = card("d").set("iobase", "0x400").set("irq", "16");
    let pin = create(&tree, &platform, pin).unwrap_err();
    assert_eq!(pin, "interrupt 16 does not exist: 'pic' has pins 0 to 15");
}

#[test]
fn when_a_later_device_fails_the_earlier_ones_give_back_what_they_claimed() {
    let (tree, platform, _) = machine();
    let requests = [card("a"), card("b").set("iobase", "0x400").set("irq", "6"), card("c")];
    let error = tree.create(requests, &mut DeviceRealizer::new(&platform)).unwrap_err();
    assert!(matches!(&error, CreateError::Complete { path, .. } if path == "/c"), "{error}");
    assert_eq!(claimed(&platform), (0, 0));
    assert_eq!(tree.walk().len(), 2);
}

#[test]
fn a_platform_takes_no_handle_of_another_tree() {
    let (ours, platform, pic) = machine();
    let (theirs, their_platform, their_pic) = machine();
    let foreign = create(&theirs, &their_platform, card("c")).expect("it is theirs");
    let error = platform.line(&foreign, 3).unwrap_err();
    assert_eq!(error, LineError::Foreign { type_name: "card" });
    assert_eq!(error.to_string(), "the object of type 'card' belongs to another object tree");
    let line = InterruptLine::new(ours.id(), &their_pic, 3);
    assert_eq!(line.unwrap_err(), LineError::Foreign { type_name: "pic" });
    let line = InterruptLine::new(ours.id(), &pic, 3).expect("it is ours");
    assert_eq!(line.pin(), 3);
    let claim = platform.ports().claim(&foreign, 0, 0x700, 1);
    assert_eq!(claim, Err(ClaimError::Foreign { type_name: "card" }));
    let empty = Platform::new(ours.id()).expect("there are descriptors");
    let foreign = Err(RoleError::Foreign { type_name: "pic" });
    assert_eq!(empty.set_interrupts(&their_pic), foreign);
    assert_eq!(empty.set_msi(&their_pic), foreign);
    let realized = theirs.create([card("d")], &mut DeviceRealizer::new(&platform)).unwrap_err();
    assert_eq!(realized.to_string(), "the object of type 'card' belongs to another object tree");
}

#[test]
fn a_machine_has_one_of_each_role_until_that_goes() {
    let (tree, platform, pic) = machine();
    platform.set_msi(&pic).expect("it is the first");
    assert!(platform.msi().is_some());
    let card = create(&tree, &platform, card("c")).expect("all is free");
    let other = create(&tree, &platform, Request::new("pic", "/", "other")).expect("it is secure");
    assert_eq!(
        platform.set_interrupts(&other).unwrap_err().to_string(),
        "the machine has an interrupt controller already: '/pic' (type 'pic')"
    );
    assert_eq!(
        platform.set_msi(&other).unwrap_err().to_string(),
        "the machine has a sink of messages already: '/pic' (type 'pic')"
    );
    platform.release(&other);
    assert!(platform.interrupts().is_some_and(|there| there.same(&pic)), "another's is not taken");
    assert_eq!(
        platform.set_msi(&card).unwrap_err().to_string(),
        "type 'card' can't serve as a sink of messages"
    );
    tree.remove(&pic, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    assert!(platform.interrupts().is_none() && platform.msi().is_none());
    platform.set_interrupts(&other).expect("the role is free");
    platform.set_msi(&other).expect("the role is free");
}

#[test]
fn a_line_needs_a_controller_with_that_pin() {
    let (tree, platform, _) = machine();
    let device = create(&tree, &platform, card("c")).expect("all is free");
    let bare = Platform::new(tree.id()).expect("there are descriptors");
    assert_eq!(bare.line(&device, 1).unwrap_err(), LineError::NoController);
    let line = InterruptLine::new(tree.id(), &device, 1);
    assert_eq!(line.unwrap_err(), LineError::NotAController { type_name: "card" });
    for pin in [16, u32::MAX] {
        let error = platform.line(&device, pin).unwrap_err();
        assert_eq!(error, LineError::NoPin { pin, controller: "pic", last: 15 });
    }
}

#[test]
fn a_platform_takes_no_handle_of_an_object_that_has_left_the_tree() {
    let (tree, platform, pic) = machine();
    let device = create(&tree, &platform, card("c")).expect("all is free");
    tree.remove(&device, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    let detached = LineError::Detached { type_name: "card" };
    assert_eq!(platform.line(&device, 3).unwrap_err(), detached);
    assert_eq!(detached.to_string(), "the object of type 'card' stands in no object tree");
    let realized = DeviceRealizer::new(&platform).complete(&device).unwrap_err();
    assert_eq!(realized.to_string(), "the object of type 'card' stands in no object tree");
    assert_eq!(claimed(&platform), (0, 0));
    tree.remove(&pic, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    let line = InterruptLine::new(tree.id(), &pic, 3);
    assert_eq!(line.unwrap_err(), LineError::Detached { type_name: "pic" });
    let detached = Err(RoleError::Detached { type_name: "pic" });
    assert_eq!(platform.set_interrupts(&pic), detached);
    assert_eq!(platform.set_msi(&pic), detached);
}
