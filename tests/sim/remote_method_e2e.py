#!/usr/bin/env python3
"""Macros call methods of clients: an agent registers names over the WebSocket, action_call_remote_method sends it requests,
other clients see nothing of them, and the names go with the connection.

    remote_method_e2e.py LOCKSTEP
"""

import os
import sys
import tempfile

import daemon

CONFIG = daemon.XYZ_CONFIG + """
[gcode_macro LAMP]
gcode:
  {% set _ = action_call_remote_method("set_lamp", state=params.STATE|default("on"), level=params.LEVEL|default(0)|float,
                                       parts=[1, 2.5, none, true], more={"é": "<a>"}) %}
[gcode_macro PLAIN]
gcode: {action_call_remote_method("refresh")}
[gcode_macro WRONG]
gcode: {action_call_remote_method("refresh", 1)}
[gcode_macro ENDLESS]
gcode: {action_call_remote_method("refresh", x="inf"|float)}
"""

IDENTITY = {"client_name": "lamps", "version": "1", "type": "agent", "url": "http://example.com"}


def register(ws, name):
    return ws.call("connection.register_remote_method", {"method_name": name})


def requests_to(ws, count):
    """The next `count` requests that reach this client."""
    found = []
    while len(found) < count:
        message = ws.notifications.pop(0) if ws.notifications else ws.recv()
        if not message.get("method", "").startswith("notify_"):
            found.append(message)
    return found


def console(printer):
    return [line["message"] for line in printer.get("/server/gcode_store?count=50")["gcode_store"]]


def main():
    folder = tempfile.mkdtemp()
    config = os.path.join(folder, "printer.cfg")
    with open(config, "w") as file:
        file.write(CONFIG)
    printer = daemon.Printer(sys.argv[1], config, os.path.join(folder, "data"), "--sim")
    try:
        printer.wait_ready()
        agent, other = printer.ws(), printer.ws()
        assert register(agent, "set_lamp")["error"]["code"] == 400, "a connection without a name may register"
        agent.result("server.connection.identify", IDENTITY)
        other.result("server.connection.identify", {**IDENTITY, "client_name": "page", "type": "web"})
        assert "agent" in register(other, "set_lamp")["error"]["message"]
        assert register(agent, "set_lamp")["result"] == "ok" and register(agent, "set_lamp")["result"] == "ok"
        assert register(agent, "x" * 129)["error"]["code"] == 400 and register(agent, "")["error"]["code"] == 400
        second = printer.ws()
        second.result("server.connection.identify", {**IDENTITY, "client_name": "second"})
        assert register(second, "set_lamp")["error"]["code"] == 400, "two clients have one name"

        status, _ = printer.script("LAMP STATE=off LEVEL=0.5")
        assert status == 200
        [request] = requests_to(agent, 1)
        assert request == {"jsonrpc": "2.0", "method": "set_lamp",
                           "params": {"state": "off", "level": 0.5, "parts": [1, 2.5, None, True], "more": {"é": "<a>"}}}, request
        assert not any("not registered" in line for line in console(printer))

        assert printer.script("PLAIN")[0] == 200  # nobody has it: the macro goes on
        assert "// Remote method 'refresh' is not registered" in console(printer), console(printer)
        assert register(second, "refresh")["result"] == "ok"
        assert printer.script("PLAIN")[0] == 200
        assert requests_to(second, 1) == [{"jsonrpc": "2.0", "method": "refresh", "params": {}}]
        status, reply = printer.script("WRONG")
        assert status == 400 and "takes the method's name, then keywords" in reply["error"]["message"], reply
        status, reply = printer.script("ENDLESS")
        assert status == 400 and "not JSON compliant" in reply["error"]["message"], reply

        other.notifications.clear()
        assert printer.script("RESTART")[0] == 200  # the printer is another, the client is the same
        other.wait_for("notify_klippy_ready", 60)
        assert printer.script("LAMP")[0] == 200
        assert requests_to(agent, 1)[0]["params"]["state"] == "on"
        agent.close()
        printer.wait("the name to go", lambda: printer.script("LAMP")[0] == 200 and
                     "// Remote method 'set_lamp' is not registered" in console(printer), 10)
        assert register(second, "set_lamp")["result"] == "ok"
        other.call("server.info", {})
        assert all(message["method"].startswith("notify_") for message in other.notifications), "requests are for the agent alone"
    finally:
        printer.stop()


if __name__ == "__main__":
    main()
