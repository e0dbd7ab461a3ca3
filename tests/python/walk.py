"""Controls a VM with qemu.qmp, a client of the machine protocol that nobody here wrote.

usage: walk.py SOCKET [DRIVER]

Reads every property of every object; adds, uses and deletes a device of type DRIVER, if given, every
object that can be made of nothing but a name, and a character device; stops the VM, lets it go on,
and ends it. Prints one JSON object of what came of it. Exits with a traceback when anything is not as
it should be.
"""

import asyncio
import json
import sys

from qemu.qmp import ExecuteError, QMPClient

# Seconds that an event may take to come.
PATIENCE = 60

# The events that are waited for, in whatever order they come.
EVENTS = ("DEVICE_DELETED", "STOP", "RESUME", "SHUTDOWN")


class Unexpected(Exception):
    """Something is not as it should be."""


def expect(what, found, expected):
    """Fails unless what was found is what is expected."""
    if found != expected:
        raise Unexpected(f"{what}: expected {expected!r}, found {found!r}")


async def refused(client, command, arguments, text):
    """Gives a command that fails with an error in which that text is."""
    try:
        found = await client.execute(command, arguments)
    except ExecuteError as error:
        if text not in str(error):
            raise Unexpected(f"{command} {arguments}: {error!r} lacks {text!r}") from error
    else:
        raise Unexpected(f"{command} {arguments} succeeded: {found!r}")


async def next_event(listener, name):
    """Waits for the next event, which is of that name."""
    event = await asyncio.wait_for(listener.get(), PATIENCE)
    expect("event", event["event"], name)
    return event


async def walk(client, path, told):
    """Reads all properties of the object at a path, then its children."""
    told["objects"].append(path)
    for entry in await client.execute("qom-list", {"path": path}):
        value = await client.execute("qom-get", {"path": path, "property": entry["name"]})
        told["properties"] += 1
        if entry["type"].startswith("child<"):
            child = path.rstrip("/") + "/" + entry["name"]
            expect("path of a child", value, child)
            await walk(client, child, told)


async def objects(client):
    """The paths of all objects."""
    told = {"objects": [], "properties": 0}
    await walk(client, "/", told)
    return told["objects"]


async def device(client, listener, driver):
    """Adds a device, reads what it has and deletes it, which an event tells."""
    arguments = {"driver": driver, "id": "walked"}
    await client.execute("device_add", arguments)
    await refused(client, "device_add", arguments, "Duplicate device ID 'walked'")
    path = "/machine/peripheral/walked"
    expect("type", await client.execute("qom-get", {"path": path, "property": "type"}), driver)
    await client.execute("device_del", {"id": "walked"})
    event = await next_event(listener, "DEVICE_DELETED")
    expect("deleted device", event["data"], {"device": "walked", "path": path})
    await refused(client, "device_del", {"id": "walked"}, "Device 'walked' not found")


async def backends(client):
    """Adds and deletes an object of every type that takes nothing but a name. Their types."""
    added = []
    types = await client.execute("qom-list-types", {"implements": "user-creatable"})
    for name in (entry["name"] for entry in types):
        arguments = {"qom-type": name, "id": "walked"}
        try:
            await client.execute("object-add", arguments)
        except ExecuteError:
            # It needs more, or the policy refuses it.
            continue
        await refused(client, "object-add", arguments, "walked")
        await client.execute("object-del", {"id": "walked"})
        await refused(client, "object-del", {"id": "walked"}, "object 'walked' not found")
        added.append(name)
    return added


async def chardev(client):
    """Adds and deletes a character device."""
    arguments = {"id": "walked", "backend": {"type": "null", "data": {}}}
    await client.execute("chardev-add", arguments)
    found = await client.execute("query-chardev")
    expect("label", "walked" in [entry["label"] for entry in found], True)
    await client.execute("chardev-remove", {"id": "walked"})


async def run_states(client, listener):
    """Stops the VM and lets it go on, the other way round if it is stopped."""
    orders = [("stop", "STOP", "paused"), ("cont", "RESUME", "running")]
    if not (await client.execute("query-status"))["running"]:
        orders.reverse()
    for command, event, status in orders:
        await client.execute(command)
        await next_event(listener, event)
        expect("status", (await client.execute("query-status"))["status"], status)


async def main(socket, driver=None):
    """Does all of it and ends the VM."""
    client = QMPClient("walk")
    told = {"objects": [], "properties": 0}
    await client.connect(socket)
    try:
        with client.listener(EVENTS) as listener:
            await walk(client, "/", told)
            if driver is not None:
                await device(client, listener, driver)
            told["added"] = await backends(client)
            await chardev(client)
            await run_states(client, listener)
            # Whatever was added has left nothing but containers.
            containers = {"/chardevs", "/objects", "/machine/peripheral"}
            expect("objects", set(await objects(client)) - containers, set(told["objects"]) - containers)
            await client.execute("quit")
            event = await next_event(listener, "SHUTDOWN")
            expect("shutdown", event["data"], {"guest": False, "reason": "host-qmp-quit"})
    finally:
        try:
            await client.disconnect()
        except EOFError:
            # The VM has hung up, as it has ended.
            pass
    print(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
