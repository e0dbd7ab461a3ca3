//! The VM as a whole: how it runs, and what it is.

use device_model::{
    control::{Order, RunState},
    event_loop_base::EventLoopBase,
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::Obj,
};
use schemars::JsonSchema;
use serde::Serialize;
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _};

use crate::{cpu::Cpu, creation::object, monitor::qmp::wire};

/// The processors that all machines have.
#[derive(Serialize, JsonSchema)]
enum Target {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
}

/// `query-status`.
struct QueryStatus;

/// How it runs.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// Whether its processors run.
    running: bool,
    /// If not, why.
    status: RunState,
}

impl Command for QueryStatus {
    const NAME: &'static str = "query-status";
    type Arguments = Nothing;
    type Returns = Status;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Status, CommandError> {
        let status = context.vm().run_state();
        Ok(Status { running: status == RunState::Running, status })
    }
}

register_command!(QueryStatus);

/// Commands that are orders.
macro_rules! orders {
    ($($(#[$doc:meta])* $command:ident, $name:literal, $order:expr;)*) => {$(
        $(#[$doc])*
        struct $command;

        impl Command for $command {
            const NAME: &'static str = $name;
            type Arguments = Nothing;
            type Returns = Nothing;

            fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Nothing, CommandError> {
                context.vm().order($order)?;
                Ok(Nothing {})
            }
        }

        register_command!($command);
    )*};
}

orders! {
    /// `stop`.
    Stop, "stop", Order::Stop;
    /// `cont`.
    Cont, "cont", Order::Continue;
    /// `system_reset`.
    SystemReset, "system_reset", Order::Reset;
    /// `system_powerdown`.
    SystemPowerdown, "system_powerdown", Order::PowerDown;
    /// `quit`.
    Quit, "quit", Order::Quit;
}

/// `query-name`.
struct QueryName;

/// What the guest is called.
#[derive(Serialize, JsonSchema)]
struct Name {
    /// Its name, if the user gave it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Command for QueryName {
    const NAME: &'static str = "query-name";
    type Arguments = Nothing;
    type Returns = Name;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Name, CommandError> {
        Ok(Name { name: context.vm().name().map(str::to_owned) })
    }
}

register_command!(QueryName);

/// `query-version`.
struct QueryVersion;

/// The version of QEMU whose commands these are, and who has them.
#[derive(Serialize, JsonSchema)]
struct Version {
    /// The version of QEMU.
    qemu: Numbers,
    /// Name and version of this program.
    package: String,
}

/// The numbers of a version.
#[derive(Serialize, JsonSchema)]
struct Numbers {
    /// The first.
    major: u32,
    /// The second.
    minor: u32,
    /// The third.
    micro: u32,
}

impl Command for QueryVersion {
    const NAME: &'static str = "query-version";
    type Arguments = Nothing;
    type Returns = Version;

    fn run(_: &CommandContext<'_>, _: Nothing) -> Result<Version, CommandError> {
        let wire::Version { major, minor, micro, package } = wire::Version::this();
        Ok(Version { qemu: Numbers { major, minor, micro }, package })
    }
}

register_command!(QueryVersion);

/// `query-target`.
struct QueryTarget;

/// What processors run.
#[derive(Serialize, JsonSchema)]
struct TargetInfo {
    /// Their architecture.
    arch: Target,
}

impl Command for QueryTarget {
    const NAME: &'static str = "query-target";
    type Arguments = Nothing;
    type Returns = TargetInfo;

    fn run(_: &CommandContext<'_>, _: Nothing) -> Result<TargetInfo, CommandError> {
        Ok(TargetInfo { arch: Target::X86_64 })
    }
}

register_command!(QueryTarget);

/// `query-uuid`.
struct QueryUuid;

/// The guest's identity.
#[derive(Serialize, JsonSchema)]
struct Uuid {
    /// All zero for a guest that nobody gave one.
    #[serde(rename = "UUID")]
    uuid: &'static str,
}

impl Command for QueryUuid {
    const NAME: &'static str = "query-uuid";
    type Arguments = Nothing;
    type Returns = Uuid;

    fn run(_: &CommandContext<'_>, _: Nothing) -> Result<Uuid, CommandError> {
        // No option gives a guest one.
        Ok(Uuid { uuid: "00000000-0000-0000-0000-000000000000" })
    }
}

register_command!(QueryUuid);

/// `query-cpus-fast`.
struct QueryCpusFast;

/// A processor.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct CpuInfo {
    /// Its place among the machine's processors.
    cpu_index: u32,
    /// Where it stands in the object tree.
    qom_path: String,
    /// Number of the thread that runs it; 0 while there is none.
    thread_id: i32,
    /// Its architecture.
    target: Target,
    /// Its place in the topology.
    props: CpuPlace,
}

/// A processor's place in the topology.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct CpuPlace {
    /// Its socket.
    socket_id: u32,
    /// Its core, within the socket.
    core_id: u32,
    /// Its thread, within the core.
    thread_id: u32,
}

impl CpuPlace {
    fn of(cpu: &dyn Cpu) -> Self {
        // None is 0: the class's range says so.
        let (cores, threads) = (cpu.cores().max(1), cpu.threads().max(1));
        let index = cpu.index();
        Self {
            socket_id: index / threads / cores,
            core_id: index / threads % cores,
            thread_id: index % threads,
        }
    }
}

impl Command for QueryCpusFast {
    const NAME: &'static str = "query-cpus-fast";
    type Arguments = Nothing;
    type Returns = Vec<CpuInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<CpuInfo>, CommandError> {
        let mut cpus: Vec<_> = context
            .tree()
            .walk()
            .iter()
            .filter_map(|object| {
                let (cpu, qom_path) = (object.cast::<dyn Cpu>()?, object.path()?);
                Some(CpuInfo {
                    cpu_index: cpu.index(),
                    qom_path,
                    thread_id: cpu.slot().thread_id().unwrap_or(0),
                    target: Target::X86_64,
                    props: CpuPlace::of(&*cpu),
                })
            })
            .collect();
        cpus.sort_unstable_by_key(|cpu| cpu.cpu_index);
        Ok(cpus)
    }
}

register_command!(QueryCpusFast);

/// `query-iothreads`.
struct QueryIothreads;

/// A thread for the work of devices.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct IothreadInfo {
    /// What it is called.
    id: String,
    /// Its number.
    thread_id: i64,
    /// The longest time that it polls before it sleeps, in nanoseconds.
    poll_max_ns: i64,
    /// By what its polling time grows; 0 for the default.
    poll_grow: i64,
    /// By what it shrinks; 0 for the default.
    poll_shrink: i64,
    /// The most requests that it submits at once; 0 for the default.
    aio_max_batch: i64,
}

impl Command for QueryIothreads {
    const NAME: &'static str = "query-iothreads";
    type Arguments = Nothing;
    type Returns = Vec<IothreadInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<IothreadInfo>, CommandError> {
        let number = |object: &Obj, property: &str| {
            object.get(property).and_then(|value| value.as_i64()).unwrap_or(0)
        };
        let objects = context.tree().root().child(object::OBJECTS.trim_start_matches('/'));
        let objects = objects.map(|objects| objects.children()).unwrap_or_default();
        let threads =
            objects.into_iter().filter(|(_, object)| object.cast::<dyn EventLoopBase>().is_some());
        let info = |(id, object): (_, Obj)| IothreadInfo {
            id,
            thread_id: number(&object, "thread-id"),
            poll_max_ns: number(&object, "poll-max-ns"),
            poll_grow: number(&object, "poll-grow"),
            poll_shrink: number(&object, "poll-shrink"),
            aio_max_batch: number(&object, "aio-max-batch"),
        };
        Ok(threads.map(info).collect())
    }
}

register_command!(QueryIothreads);

/// `query-memory-size-summary`.
struct QueryMemorySizeSummary;

/// How much memory the guest has.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct MemorySize {
    /// From the start, in bytes.
    base_memory: u64,
    /// Added since, in bytes.
    plugged_memory: u64,
}

impl Command for QueryMemorySizeSummary {
    const NAME: &'static str = "query-memory-size-summary";
    type Arguments = Nothing;
    type Returns = MemorySize;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<MemorySize, CommandError> {
        let memory = context.platform().memory();
        let sizes = memory.map(|memory| memory.iter().map(|region| region.len()).sum());
        Ok(MemorySize { base_memory: sizes.unwrap_or(0), plugged_memory: 0 })
    }
}

register_command!(QueryMemorySizeSummary);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use device_model::{control::Order, prelude::*};
    use serde_json::json;

    use super::super::testing::Bench;

    /// Loop of a kind of its own
    #[qom_type(secure, parent = EventLoopBase, interfaces(UserCreatable))]
    struct TestLoop {
        /// Number of its thread
        #[property(name = "thread-id", default = 7)]
        thread_id: i64,
    }

    impl EventLoopBase for TestLoop {
        fn events(&self) -> Option<Arc<EventLoop>> {
            None
        }
    }

    impl UserCreatable for TestLoop {}

    #[test]
    fn whatever_offers_a_loop_is_among_the_threads() {
        let bench = Bench::new();
        bench.ok("object-add", json!({"qom-type": "test-loop", "id": "l0"}));
        bench.ok("object-add", json!({"qom-type": "test-backend", "id": "b0", "size": 1}));
        let told = json!([{
            "id": "l0", "thread-id": 7, "poll-max-ns": 0, "poll-grow": 0, "poll-shrink": 0,
            "aio-max-batch": 0,
        }]);
        assert_eq!(bench.ok("query-iothreads", json!({})), told);
    }

    #[test]
    fn orders_reach_the_vm_and_its_status_follows() {
        let bench = Bench::new();
        let status = |status: &str, running| json!({"running": running, "status": status});
        assert_eq!(bench.ok("query-status", json!({})), status("prelaunch", false));
        bench.ok("cont", json!({}));
        assert_eq!(bench.ok("query-status", json!({})), status("running", true));
        bench.ok("stop", json!({}));
        assert_eq!(bench.ok("query-status", json!({})), status("paused", false));
        for name in ["system_reset", "system_powerdown", "quit"] {
            assert_eq!(bench.ok(name, json!({})), json!({}));
        }
        assert_eq!(
            bench.machine.take_orders(),
            [Order::Continue, Order::Stop, Order::Reset, Order::PowerDown, Order::Quit]
        );
    }

    #[test]
    fn a_vm_tells_what_it_is() {
        let bench = Bench::new();
        assert_eq!(bench.ok("query-name", json!({})), json!({"name": "test"}));
        assert_eq!(bench.ok("query-target", json!({})), json!({"arch": "x86_64"}));
        let uuid = json!({"UUID": "00000000-0000-0000-0000-000000000000"});
        assert_eq!(bench.ok("query-uuid", json!({})), uuid);
        let version = bench.ok("query-version", json!({}));
        assert!(version["qemu"]["major"].is_u64(), "{version}");
        assert!(version["package"].is_string(), "{version}");
        assert_eq!(bench.ok("query-cpus-fast", json!({})), json!([]));
        assert_eq!(bench.ok("query-iothreads", json!({})), json!([]));
        let memory = json!({"base-memory": 0, "plugged-memory": 0});
        assert_eq!(bench.ok("query-memory-size-summary", json!({})), memory);
    }
}
