//! Tests of a processor's place: who may start it, how it is stopped, who answers when.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use device_model::{qom_core::Obj, realize::DeviceRealizer, testing::wait_until};

use super::{
    End, EndSink, SlotError,
    testing::{REGISTERS, machine, processor, wait_until_entered},
};
use crate::cpu::Cpu;

/// Far less than a processor that does not answer is waited for.
const AT_ONCE: Duration = Duration::from_secs(3);

fn cpu(object: &Obj) -> Arc<dyn Cpu> {
    object.cast().expect("it is a processor")
}

fn nobody() -> EndSink {
    Arc::new(|_, _| {})
}

#[test]
fn a_thread_is_started_for_the_processors_own_handle_only() {
    let (ours, platform) = machine();
    let (theirs, their_platform) = machine();
    let object = processor(&ours, &platform, 0, "idle");
    let other = processor(&ours, &platform, 1, "idle");
    let foreign = processor(&theirs, &their_platform, 0, "idle");
    let processor = cpu(&object);
    let start = |object: &Obj| processor.slot().start(object, &platform, nobody());
    let type_name = "test-x86_64-cpu";
    let error = cpu(&foreign).slot().start(&foreign, &platform, nobody()).unwrap_err();
    assert!(matches!(&error, SlotError::Foreign { type_name: it } if *it == type_name), "{error}");
    let error = start(&foreign).unwrap_err();
    assert!(matches!(error, SlotError::Foreign { .. }), "{error}");
    let error = start(&other).unwrap_err();
    assert!(matches!(error, SlotError::NotThis { .. }), "{error}");
    let error = start(&ours.resolve("/").expect("there is a root")).unwrap_err();
    assert!(matches!(error, SlotError::NotThis { .. }), "{error}");
    assert_eq!(format!("{:?}", processor.slot()), "VcpuSlot(parked)");
    assert_eq!(processor.slot().thread_id(), None);
    start(&object).expect("it is its own");
    assert_eq!(format!("{:?}", processor.slot()), "VcpuSlot(running)");
    wait_until("the thread has begun", || processor.slot().thread_id().is_some());
    let thread = processor.slot().thread_id().map(|id| format!("/proc/self/task/{id}/comm"));
    let name = std::fs::read_to_string(thread.expect("it has begun")).expect("it runs");
    assert_eq!(name, "vcpu0\n");
    ours.remove(&object, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    let error = start(&object).unwrap_err();
    assert!(matches!(error, SlotError::Detached { .. }), "{error}");
}

#[test]
fn a_processor_that_goes_is_stopped_first() {
    let (tree, platform) = machine();
    let object = processor(&tree, &platform, 0, "idle");
    let alive = Arc::new(());
    let thread = Arc::downgrade(&alive);
    let ended: EndSink = Arc::new(move |_, _| drop(Arc::clone(&alive)));
    cpu(&object).slot().start(&object, &platform, ended).expect("there are threads");
    assert_eq!(thread.strong_count(), 1);
    tree.remove(&object, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    assert_eq!(thread.strong_count(), 0, "its thread has ended");
    assert_eq!(format!("{:?}", cpu(&object).slot()), "VcpuSlot(absent)");
}

#[test]
fn a_processor_that_leaves_the_guest_all_the_time_is_stopped_and_answers() {
    let (tree, platform) = machine();
    let object = processor(&tree, &platform, 0, "storm");
    let cpu = cpu(&object);
    cpu.slot().start(&object, &platform, nobody()).expect("there are threads");
    wait_until_entered(&object);
    let start = Instant::now();
    assert_eq!(cpu.slot().ask(0, |vcpu| vcpu.registers()).expect("it answers"), REGISTERS);
    cpu.slot().stop(0).expect("it stops");
    assert!(start.elapsed() < AT_ONCE);
    assert_eq!(cpu.slot().ask(0, |vcpu| vcpu.registers()).expect("it is parked"), REGISTERS);
}

#[test]
fn a_processor_that_has_come_to_its_end_answers_and_tells_its_registers() {
    for run in ["fault", "fail"] {
        let (tree, platform) = machine();
        let object = processor(&tree, &platform, 0, run);
        let cpu = cpu(&object);
        let (tell, told) = mpsc::channel();
        let tell = parking_lot::Mutex::new(tell);
        let ended: EndSink = Arc::new(move |index, end| {
            tell.lock().send((index, end)).expect("it is waited for");
        });
        cpu.slot().start(&object, &platform, ended).expect("there are threads");
        let (index, end) = told.recv().expect("it ends");
        assert_eq!(index, 0);
        let (End::TripleFault { registers } | End::Failed { registers, .. }) = end else {
            panic!("{end:?}");
        };
        assert_eq!(registers, REGISTERS);
        // Long enough for the thread to have answered for the last time.
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        assert_eq!(cpu.slot().ask(0, |vcpu| vcpu.registers()).expect("it answers"), REGISTERS);
        assert!(start.elapsed() < AT_ONCE);
    }
}

#[test]
fn nobody_waits_for_the_answer_of_a_thread_that_panicked() {
    let (tree, platform) = machine();
    let object = processor(&tree, &platform, 0, "panic");
    let cpu = cpu(&object);
    cpu.slot().start(&object, &platform, nobody()).expect("there are threads");
    wait_until_entered(&object);
    let start = Instant::now();
    let error = cpu.slot().ask(0, |vcpu| vcpu.registers()).unwrap_err();
    assert!(matches!(error, SlotError::Absent(0)), "{error}");
    assert!(start.elapsed() < AT_ONCE);
}

#[test]
fn a_processor_that_does_not_come_out_is_given_up_and_only_waited_for_once() {
    let (tree, platform) = machine();
    let object = processor(&tree, &platform, 0, "stuck");
    let cpu = cpu(&object);
    cpu.slot().start(&object, &platform, nobody()).expect("there are threads");
    wait_until_entered(&object);
    let error = cpu.slot().stop(0).unwrap_err();
    assert!(matches!(error, SlotError::Stuck { index: 0, .. }), "{error}");
    let start = Instant::now();
    cpu.slot().stop(0).expect("there is nothing left to stop");
    tree.remove(&object, &mut DeviceRealizer::new(&platform)).expect("it is not in use");
    assert!(start.elapsed() < AT_ONCE);
}
