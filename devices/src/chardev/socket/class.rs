//! What users say of a socket otherwise than by its properties.

use device_model::{
    prelude::*,
    qom_core::{Given, Value},
};

/// QEMU's `ChardevSocket` (`qapi/char.json`), whose address is a `SocketAddressLegacy`.
pub(super) static CLASS: ChardevClass = ChardevClass {
    members: &[DataMember {
        name: "addr",
        required: true,
        value: MemberValue::OneOf(&[INET, UNIX, DESCRIPTOR]),
    }],
    complete: Some(complete),
};

const INET: DataCase = DataCase {
    name: "inet",
    members: &[
        DataMember { name: "host", required: true, value: MemberValue::TextOf("host") },
        DataMember { name: "port", required: true, value: MemberValue::TextOf("port") },
        DataMember::optional("to", "to"),
        DataMember::optional("ipv4", "ipv4"),
        DataMember::optional("ipv6", "ipv6"),
    ],
};

const UNIX: DataCase = DataCase {
    name: "unix",
    members: &[
        DataMember { name: "path", required: true, value: MemberValue::TextOf("path") },
        DataMember::optional("abstract", "abstract"),
        DataMember::optional("tight", "tight"),
    ],
};

const DESCRIPTOR: DataCase = DataCase {
    name: "fd",
    members: &[DataMember { name: "str", required: true, value: MemberValue::TextOf("fd") }],
};

/// Unlike the option, a command makes a server, unless it is told otherwise, that does not wait.
///
/// # Errors
/// If it is to wait for a peer: nothing else can change the VM meanwhile, nor end it.
fn complete(given: &mut Vec<(String, Given)>) -> Result<(), PlanError> {
    let flag = |property: &str| {
        let value = given.iter().rev().find(|(name, _)| name == property);
        // What is no flag is told of when the property is set.
        value.map(|(_, value)| bool::from_given(value).unwrap_or_default())
    };
    let (server, wait) = (flag("server"), flag("wait"));
    if server == Some(false) {
        return Ok(());
    }
    if wait == Some(true) {
        let problem = "Parameter 'wait' expects 'false' for a VM that exists: its monitors would wait \
                       for the first peer too";
        return Err(PlanError::refused("wait", problem));
    }
    for (property, given_already, value) in
        [("server", server.is_some(), true), ("wait", wait.is_some(), false)]
    {
        if !given_already {
            given.push((property.to_owned(), Given::Json(Value::from(value))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(given: &[(&str, bool)]) -> Result<Vec<(String, Value)>, String> {
        let given =
            given.iter().map(|(name, value)| ((*name).to_owned(), Given::Json((*value).into())));
        let mut given: Vec<_> = given.collect();
        complete(&mut given).map_err(|error| error.to_string())?;
        let json = |(name, given)| match given {
            Given::Json(value) => (name, value),
            Given::Text(text) => (name, text.into()),
        };
        Ok(given.into_iter().map(json).collect())
    }

    #[test]
    fn a_command_makes_a_server_that_does_not_wait_unless_told_otherwise() {
        let pair = |name: &str, value: bool| (name.to_owned(), Value::from(value));
        let server = [pair("server", true), pair("wait", false)];
        assert_eq!(completed(&[]).as_deref(), Ok(&server[..]));
        assert_eq!(completed(&[("server", true)]).as_deref(), Ok(&server[..]));
        let told = [pair("wait", false), pair("server", true)];
        assert_eq!(completed(&[("wait", false)]).as_deref(), Ok(&told[..]));
        let client = [pair("server", false)];
        assert_eq!(completed(&[("server", false)]).as_deref(), Ok(&client[..]));
    }

    #[test]
    fn no_server_waits_for_its_first_peer() {
        for given in [&[("wait", true)] as &[_], &[("server", true), ("wait", true)]] {
            let error = completed(given).expect_err("it would wait");
            assert!(error.starts_with("Parameter 'wait' expects 'false'"), "{error}");
        }
    }
}
