//! `device_add`, `device_del`: devices that come and go.

use device_model::monitor::{CommandContext, CommandError};

use super::line_command;
use crate::{
    monitor::commands::devices::{self, NewDevice},
    options::{
        command_line::DEVICE_SYNTAX,
        keyval::{OptionArgs, unquoted},
    },
};

/// Takes what `-device` takes.
fn device_add(context: &CommandContext<'_>, text: &str) -> Result<String, CommandError> {
    let mut arguments =
        OptionArgs::parse(text, DEVICE_SYNTAX).map_err(|error| CommandError::caused(&error))?;
    if arguments.asks_help() {
        let text = "-device help tells what there is, and so do query-devices and \
                    device-list-properties";
        return Err(CommandError::generic(text));
    }
    let Some(driver) = arguments.implied.take() else {
        return Err(CommandError::generic("Parameter 'driver' is missing"));
    };
    // Of a key that is given twice, the last value is the last to be taken.
    let mut last = |name: &str| arguments.take_all(|key| key == name).pop();
    let (bus, id) = (last("bus"), last("id"));
    let [bus, id] = [bus, id].map(|given| given.map(|(_, value)| unquoted(&value)));
    NewDevice { driver, bus, id, properties: arguments.entries }.add(context)?;
    Ok(String::new())
}

fn device_del(context: &CommandContext<'_>, id: &str) -> Result<String, CommandError> {
    if id.is_empty() {
        return Err(CommandError::generic("Parameter 'id' is missing"));
    }
    devices::delete(context, id)?;
    Ok(String::new())
}

line_command!("device_add", "DRIVER[,PROP=VALUE...]", "add a device, as -device does", device_add);
line_command!("device_del", "ID", "take a device away", device_del);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::{Value, json};

    use crate::monitor::commands::testing::{Bench, accept_all};

    fn typed(bench: &Bench, line: &str) -> String {
        let text = bench.ok("human-monitor-command", json!({ "command-line": line }));
        text.as_str().expect("it is text").to_owned()
    }

    fn get(bench: &Bench, property: &str) -> Value {
        let path = "/machine/peripheral/c0";
        bench.ok("qom-get", json!({ "path": path, "property": property }))
    }

    #[test]
    fn a_device_is_added_as_by_the_option_and_deleted() {
        for line in [
            "device_add test-card,id=c0,room=0x10,label=a,,b",
            "device_add  driver=test-card,id=x,id=c0,room=16,label=a,,b ",
            r#"device_add {"driver": "test-card", "id": "c0", "room": 16, "label": "a,b"}"#,
        ] {
            let bench = Bench::running();
            let before = bench.machine.paths();
            assert_eq!(typed(&bench, line), "", "{line}");
            assert_eq!((get(&bench, "room"), get(&bench, "label")), (json!(16), json!("a,b")));
            assert_eq!(typed(&bench, "device_del c0"), "");
            let names: Vec<_> = bench.events().iter().map(|event| event["event"].clone()).collect();
            assert_eq!(names, ["DEVICE_DELETED", "DEVICE_DELETED"], "and its part's");
            assert_eq!(bench.machine.paths(), before);
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_that_programs_get_and_leaves_nothing() {
        let bench = Bench::running();
        typed(&bench, "device_add test-card,id=there");
        let (before, _) = (bench.machine.paths(), bench.events());
        for (line, text) in [
            ("device_add", "Parameter 'driver' is missing"),
            ("device_add id=c0", "Parameter 'driver' is missing"),
            ("device_add warp", "'warp' is not a valid device model name"),
            ("device_add test-card,id=there", "Duplicate device ID 'there'"),
            ("device_add test-card,bus=pci.0", "Bus 'pci.0' not found"),
            ("device_add test-card,bus=isa.0", "Device 'test-card' can't go on ISA bus"),
            ("device_add isa-test", "Bus 'isa.0' does not support hotplugging"),
            ("device_add test-card,colour=1", "Property 'test-card.colour' not found"),
            (
                "device_add test-card,room=big",
                "Parameter 'room' expects an integer from 0 to 255, got 'big'",
            ),
            ("device_add test-card,=1", "column 11: expected a key, given nothing"),
            ("device_add test-leaky-card", "Type 'test-leaky-card' is declared as insecure"),
            ("device_del", "Parameter 'id' is missing"),
            ("device_del c0", "Device 'c0' not found"),
            ("device_del /machine", "/machine is not a hotpluggable device"),
        ] {
            assert_eq!(typed(&bench, line), format!("Error: {text}\r\n"), "{line}");
            assert_eq!(bench.machine.paths(), before, "{line}");
            assert_eq!(bench.events(), [] as [Value; 0], "{line}");
        }
        let twice = json!({ "driver": "test-card", "id": "there" });
        bench.refuses("device_add", &twice, GenericError, "Duplicate device ID 'there'");
    }

    #[test]
    fn a_permitted_insecure_device_taints() {
        let bench = Bench::with_policy(accept_all());
        assert_eq!(typed(&bench, "device_add test-leaky-card,id=c0"), "");
        assert_eq!(bench.events()[0]["event"], "SECURITY_TAINTED");
    }

    #[test]
    fn help_tells_of_them() {
        let help = typed(&Bench::new(), "help");
        let add = "device_add DRIVER[,PROP=VALUE...] -- add a device, as -device does\r\n";
        assert!(help.contains(add), "{help}");
        assert!(help.contains("device_del ID -- take a device away\r\n"), "{help}");
    }
}
