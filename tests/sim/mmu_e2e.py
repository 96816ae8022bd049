#!/usr/bin/env python3
"""The print-job states through the API on the simulated printer: every row of the table in docs/mmu-print-states.md is
taken at least once by commands, requests and prints of clients, each change is notified, and nothing happens that is not
in the table.

    mmu_e2e.py LOCKSTEP DOCS/mmu-print-states.md
"""

import os
import re
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "api")]
import client  # noqa: E402
import daemon  # noqa: E402

CONFIG = daemon.XYZ_CONFIG + """
[gcode_macro PAUSE]
rename_existing: BASE_PAUSE
gcode:
  BASE_PAUSE
  G91
  G1 Z5 F600
  G90
[display_status]
[respond]
[mmu]
"""

FILE = "G4 P80000000\n"
START_FILE = "SDCARD_PRINT_FILE FILENAME=job.gcode"
STOPPED_FILE = START_FILE + "\nM25"                       # state started: the automatic start waits behind this script
GONE_FILE = STOPPED_FILE + "\nSDCARD_RESET_FILE"
PAUSE = "post /printer/mmu/pause?msg=test"
FORCED = "post /printer/mmu/pause?msg=test&force_in_print=true"
IDLE = "idle"

# How to get from a fresh printer into each state.
REACH = {
    "initialized": [],
    "standby": ["MMU_PRINT_START", "MMU_PRINT_END STATE=standby"],
    "ready": ["MMU_PRINT_START", "MMU_PRINT_END STATE=ready"],
    "printing": ["_MMU_PRINT_START"],
    "complete": ["MMU_PRINT_START", "MMU_PRINT_END"],
    "error": ["_MMU_PRINT_START", "_MMU_PRINT_END STATE=error"],
    "cancelled": ["MMU_PRINT_START", "post /printer/print/cancel"],
    "pause_locked": ["MMU_PRINT_START", PAUSE],
    "paused": ["MMU_PRINT_START", PAUSE, "post /printer/mmu/unlock"],
}
RESTING = ("initialized", "standby", "ready", "complete", "error", "cancelled")
ENDS = ("complete", "error", "cancelled", "ready", "standby")


def scenarios():
    """(state to begin in, what to do there, state it must end in)"""
    for state in RESTING:
        yield state, ["post /printer/print/start?filename=job.gcode"], "printing"
        yield state, [FORCED], "pause_locked"
        yield state, [PAUSE], "ready" if state == "standby" else state  # nothing unless forced; but it wakes the unit
        yield state, ["post /printer/mmu/unlock"], "ready" if state == "standby" else state
        yield state, ["MMU_PRINT_END STATE=error"], "ready" if state == "standby" else state
        if state != "standby":
            yield state, [IDLE], "standby"
    yield "standby", ["G28"], "ready"
    for state in RESTING[:1]:  # started lasts only until the automatic start has its turn: one script holds it there
        for end in ENDS:
            yield state, [START_FILE + f"\nMMU_PRINT_END STATE={end}"], "printing"  # the file goes on: seen again
        yield state, [STOPPED_FILE + "\nMMU_PAUSE FORCE_IN_PRINT=1"], "pause_locked"
        yield state, [GONE_FILE, IDLE], "standby"
        yield state, [START_FILE, IDLE], "printing"
    for state in ("printing", "pause_locked", "paused"):
        for end in ENDS:
            yield state, [f"MMU_PRINT_END STATE={end}"], end
        yield state, ["post /printer/print/cancel"], "cancelled"
        yield state, [PAUSE], "pause_locked" if state == "printing" else state
    yield "printing", ["post /printer/print/pause"], "printing"  # PAUSE alone never locks
    yield "printing", ["post /printer/print/pause", IDLE], "printing"
    yield "printing", [IDLE], "standby"
    yield "pause_locked", ["post /printer/mmu/unlock"], "paused"
    for state in ("pause_locked", "paused"):
        yield state, [IDLE], state
        yield state, [START_FILE], "printing"
        yield state, ["post /printer/mmu/resume"], "printing"
        yield state, ["post /printer/print/resume"], "printing"
    yield "ready", [FORCED, "post /printer/mmu/resume"], "ready"


def table(path):
    """{(state, event, next)} of the documented rows, and those of them that the history does not show."""
    rows, silent = set(), set()
    with open(path, encoding="utf-8") as doc:
        for line in doc:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != 5 or cells[0] in ("state", "---") or not re.fullmatch("[a-z_]+", cells[0]):
                continue
            row = (cells[0], cells[1], cells[4])
            (silent if cells[3] == "keep" else rows).add(row)
    return rows, silent


class Test:
    def __init__(self, printer, docs):
        self.printer = printer
        self.rows, self.silent = table(docs)
        assert len(self.rows) > 40, "the table was not found"
        self.seen = set()
        self.ws = client.WebSocket(printer.address[1])
        self.ws.result("server.connection.identify",
                       {"client_name": "mmu_e2e", "version": "1", "type": "other", "url": "none"})

    def job(self):
        return self.printer.get("/printer/mmu/print_job_state")

    def do(self, step):
        if step == IDLE:
            self.fall_idle()
        elif step.startswith("post "):
            status, reply = self.printer.request("POST", step[5:])
            assert status == 200, (step, status, reply)
        else:
            status, reply = self.printer.script(step)
            assert status == 200, (step, status, reply)

    def fall_idle(self):
        if self.printer.status("print_stats")["print_stats"]["state"] == "printing":
            return  # the file's dwell counts as motion
        self.do("SET_IDLE_TIMEOUT TIMEOUT=2")
        self.do("G28")
        self.do("M400")
        idle = lambda: self.printer.status("idle_timeout")["idle_timeout"]["state"] == "Idle"  # noqa: E731
        self.printer.wait("idle", idle, 20)

    def fresh(self):
        status, _ = self.printer.request("POST", "/printer/restart")
        assert status == 200
        self.ws.wait_for("notify_klippy_ready", 20)
        self.printer.wait_ready(20)
        self.ws.notifications.clear()

    def changes(self):
        """The states notified since the restart, in order."""
        self.ws.result("server.info")  # everything sent before this answer has arrived
        return [n["params"][0]["state"] for n in self.ws.notifications
                if n["method"] == "notify_mmu_print_job_state_changed"]

    def run(self, state, steps, end):
        self.fresh()
        assert self.job()["state"] == "initialized", self.job()
        self.do("G28\nG1 X10 Y10 Z10 F6000")
        for step in REACH[state]:
            self.do(step)
        assert self.job()["state"] == state, (state, self.job())
        for step in steps:
            self.do(step)
        if end:
            self.printer.wait(f"{state}: {steps} leads to {end}", lambda: self.job()["state"] == end, 20)
        job = self.job()
        before = "initialized"
        for entry in job["history"]:
            row = (entry["from"], entry["event"], entry["state"])
            assert entry["from"] == before, f"a gap in the history: {job['history']}"
            assert row in self.rows, f"{row} is not in the table"
            self.seen.add(row)
            before = entry["state"]
        status = self.printer.status("mmu")["mmu"]
        assert status["print_state"] == status["print_job_state"]
        told = self.changes()
        assert told == [entry["state"] for entry in job["history"]][:len(told)] and len(told) >= len(job["history"]), \
            (told, job["history"])

    def run_all(self):
        count = 0
        for state, steps, end in scenarios():
            print(f"{state}: {' | '.join(steps)}".replace("\n", "; "), flush=True)
            self.run(state, steps, end)
            count += 1
        missing = self.rows - self.seen
        assert not missing, f"rows that were never taken: {sorted(missing)}"
        print(f"{count} scenarios, {len(self.seen)} transitions, each notified")


def main():
    folder = tempfile.mkdtemp(prefix="lockstep_mmu_")
    os.makedirs(os.path.join(folder, "gcodes"))
    config = os.path.join(folder, "printer.cfg")
    for path, text in ((config, CONFIG), (os.path.join(folder, "gcodes", "job.gcode"), FILE)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    printer = daemon.Printer(sys.argv[1], config, folder, "--sim", "--speed", "40")
    begun = time.monotonic()
    try:
        printer.wait_ready()
        Test(printer, sys.argv[2]).run_all()
    except BaseException:
        print([line["message"] for line in printer.get("/server/gcode_store?count=20")["gcode_store"]], file=sys.stderr)
        raise
    finally:
        printer.process.poll() is None and printer.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
