#!/usr/bin/env python3
"""The page in a headless browser, against the daemon with simulated boards: load, upload, print, pause, resume, cancel,
MMU_PAUSE and what it then offers; keyboard; phone width; no complaint in the console.

    page_test.py LOCKSTEP WWW_DIR [SCREENSHOT_DIR]
"""

import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "sim")]
import cdp  # noqa: E402
import daemon  # noqa: E402

SKIPPED = 77
CONFIG = daemon.XYZ_CONFIG + """
[extruder]
step_pin: PC0
dir_pin: PC1
enable_pin: !PC2
microsteps: 16
rotation_distance: 33.5
nozzle_diameter: 0.4
filament_diameter: 1.75
heater_pin: PB3
sensor_type: EPCOS 100K B57560G104F
sensor_pin: PC4
control: pid
pid_Kp: 22
pid_Ki: 1
pid_Kd: 114
min_temp: 0
max_temp: 300
min_extrude_temp: 0
[heater_bed]
heater_pin: PB4
sensor_type: EPCOS 100K B57560G104F
sensor_pin: PC5
control: watermark
min_temp: 0
max_temp: 130
[fan]
pin: PB5
[pause_resume]
[display_status]
[exclude_object]
[respond]
[mmu]
"""


def squares(count):
    lines = ["G90", "M83", "G28", "G1 X50 Y50 Z0.2 F6000"]
    for i in range(count):
        lines += [f"SET_PRINT_STATS_INFO TOTAL_LAYER={count} CURRENT_LAYER={i + 1}",
                  "G1 X70 E1 F3000", "G1 Y70 E1", "G1 X50 E1", "G1 Y50 E1"]
    return "\n".join(lines) + "\n"


class Daemon(daemon.Printer):
    """The daemon with a simulated printer, four times as fast as a real one."""

    def __init__(self, program, www, folder):
        self.folder = folder
        config = os.path.join(folder, "printer.cfg")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG)
        super().__init__(program, config, folder, "--www", www, "--sim", "--speed", "4")
        self.wait_ready(30)

    @property
    def url(self):
        return f"http://{self.address[0]}:{self.address[1]}"

    def state(self):
        status = self.status("print_stats&mmu")
        return status["print_stats"]["state"], status["mmu"]["print_job_state"]

    def wait_state(self, printing, job, timeout_s=30):
        self.wait(f"{printing}, {job}", lambda: self.state() == (printing, job), timeout_s)


class PageTest:
    def __init__(self, printer, browser, shots):
        self.daemon, self.page, self.shots = printer, browser, shots

    def shot(self, name):
        if self.shots:
            self.page.screenshot(os.path.join(self.shots, name + ".png"))

    def is_enabled(self, action):
        return f"document.querySelector('button[data-action={action}]')?.disabled === false"

    def click(self, action):
        self.page.wait(self.is_enabled(action), what=f"{action} can be clicked")
        self.page.click(f"button[data-action={action}]")

    def wait_text(self, selector, text, timeout=20):
        self.page.wait(f"document.querySelector({json.dumps(selector)}).textContent.includes({json.dumps(text)})", timeout,
                       f"{selector} shows {text!r} (shows {self.page.text(selector)!r})")

    # --- in order ---

    def loads(self):
        self.page.viewport(1440, 900)
        self.page.open(self.daemon.url + "/")
        self.page.wait("document.querySelector('#connection')?.textContent === 'Printer: ready'")
        self.page.wait("document.querySelectorAll('#temperature-rows tr').length === 2", what="two heaters are shown")
        assert self.page.text("#job-state") == "ready", self.page.text("#job-state")
        for action in ("pause", "resume", "unlock", "cancel", "jogXPlus"):
            assert not self.page.eval(self.is_enabled(action)), f"{action} must not be possible"
        assert self.page.eval("document.title") == "Lockstep"

    def homes_and_jogs(self):
        self.page.press("h")
        self.wait_text("#position-homed", "XYZ")
        self.page.eval("document.querySelector('#jog-steps input[value=\"50\"]').click()")
        self.click("jogXPlus")
        self.wait_text("#position-x", "50.00 mm")
        self.page.eval("document.querySelector('button[data-action=jogXPlus]').focus()")
        self.page.press("ArrowUp")
        self.wait_text("#position-y", "50.00 mm")
        self.click("jogZPlus")
        self.wait_text("#position-z", "50.00 mm", 60)

    def heats(self):
        self.page.eval("document.querySelector('#temperature-rows input').focus()")
        self.page.eval("document.querySelector('#temperature-rows input').select()")
        self.page.type("60")
        self.page.press("Enter")
        self.daemon.wait("target 60", lambda: self.daemon.status("extruder")["extruder"]["target"] == 60, 20)
        self.wait_text("#temperature-rows", "6", 60)
        self.click("heatersOff")

    def uses_the_console(self):
        self.page.press("/")
        self.page.wait("document.activeElement.id === 'console-input'")
        self.page.type("M115")
        self.page.press("Enter")
        self.wait_text("#console-lines", "> M115")
        self.page.type("NO_SUCH_COMMAND")
        self.page.press("Enter")
        self.wait_text("#console-lines", 'Unknown command:"NO_SUCH_COMMAND"')
        self.page.type("G1 X9999")
        self.page.press("Enter")
        self.wait_text("#console-lines", "!! Move out of range")
        self.page.press("ArrowUp")
        assert self.page.eval("document.querySelector('#console-input').value") == "G1 X9999"
        self.page.press("ArrowUp")
        assert self.page.eval("document.querySelector('#console-input').value") == "NO_SUCH_COMMAND"
        self.page.eval("document.querySelector('#console-input').value = ''; document.activeElement.blur()")

    def uploads_and_prints(self):
        path = os.path.join(self.daemon.folder, "squares <b>&amp;.gcode")  # a name that must not become markup
        with open(path, "w") as f:
            f.write(squares(60))
        self.page.set_files("#upload-input", [path])
        self.wait_text("#upload-state", "has been uploaded")
        self.wait_text("#file-list", "squares <b>&amp;.gcode")
        assert self.page.eval("document.querySelectorAll('#file-list b').length") == 0
        self.click("print")
        self.daemon.wait_state("printing", "printing")
        self.wait_text("#job-state", "printing")
        self.wait_text("#job-layer", "of 60", 60)
        self.page.wait("document.querySelector('#job-progress').value > 2", 60)
        assert not self.page.eval(self.is_enabled("homeAll")), "no homing during a print"
        assert not self.page.eval(self.is_enabled("remove")), "the file being printed cannot be deleted"
        self.shot("desktop-printing")

    def pauses_and_resumes(self):
        self.click("pause")
        self.daemon.wait_state("paused", "printing")
        self.wait_text("#job-state", "paused")
        self.wait_text("#job-next", "Resume")
        self.shot("desktop-paused")
        self.page.eval("document.activeElement.blur()")
        self.page.press("r")  # by key
        self.daemon.wait_state("printing", "printing")
        self.wait_text("#job-state", "printing")
        self.page.wait("document.querySelector('#job-notice').hidden")

    def locks_and_unlocks(self):
        self.daemon.script('MMU_PAUSE MSG="filament is <i>stuck</i>"')
        self.daemon.wait_state("paused", "pause_locked")
        self.wait_text("#job-state", "paused, locked")
        self.wait_text("#job-reason", "filament is <i>stuck</i>")
        self.wait_text("#job-next", "Unlock")
        for action in ("unlock", "resume", "cancel"):
            self.page.wait(self.is_enabled(action), what=f"{action} is offered")
        assert not self.page.eval(self.is_enabled("pause"))
        self.shot("desktop-locked")
        self.click("unlock")
        self.daemon.wait_state("paused", "paused")
        self.wait_text("#job-next", "remembered position")
        self.page.wait(f"!({self.is_enabled('unlock')})")
        self.click("resume")
        self.daemon.wait_state("printing", "printing")

    def cancels(self):
        self.click("cancel")
        self.page.wait("document.querySelector('#ask').open")
        self.page.press("Escape")  # no
        self.page.wait("!document.querySelector('#ask').open")
        assert self.daemon.state()[0] == "printing"
        self.click("cancel")
        self.page.wait("document.querySelector('#ask').open")
        self.page.click("#ask-yes")
        self.daemon.wait_state("cancelled", "cancelled")
        self.wait_text("#job-state", "cancelled")
        self.click("clearJob")
        self.wait_text("#job-file", "No file")

    def works_on_a_phone(self):
        self.page.viewport(390, 844, is_mobile=True, scale=2)
        self.page.colour_scheme("dark")
        self.page.pump(0.5)
        overflow = self.page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"the page is {overflow} px too wide for a phone"
        small = self.page.eval("""[...document.querySelectorAll('button')].filter((b) => b.offsetParent &&
            (b.getBoundingClientRect().height < 40 || b.getBoundingClientRect().width < 40)).map((b) => b.textContent)""")
        assert not small, f"too small to be touched: {small}"
        self.shot("phone-dark")
        self.page.colour_scheme("light")
        self.page.pump(0.3)
        self.shot("phone-light")
        self.page.viewport(1440, 900)

    def has_names_for_everything(self):
        nameless = self.page.eval("""[...document.querySelectorAll('button, input, select')].filter((e) => !e.hidden && e.type !== 'file' &&
            !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)""")
        assert not nameless, f"without a name: {nameless}"
        self.page.press("?", text="?")
        self.page.wait("document.querySelector('#help').open")
        assert self.page.eval("document.querySelectorAll('#help-keys dt').length") >= 10
        self.shot("desktop-help")
        self.page.press("Escape")
        self.page.wait("!document.querySelector('#help').open")

    def survives_a_stop_and_a_restart(self):
        self.click("emergencyStop")
        self.wait_text("#connection", "shutdown")
        self.page.wait("!document.querySelector('#trouble').hidden")
        self.shot("desktop-shutdown")
        self.page.click("#trouble button[data-action=firmwareRestart]")
        self.wait_text("#connection", "Printer: ready", 30)
        self.page.wait("document.querySelector('#trouble').hidden")

    def run(self):
        for step in (self.loads, self.homes_and_jogs, self.heats, self.uses_the_console, self.uploads_and_prints,
                     self.pauses_and_resumes, self.locks_and_unlocks, self.cancels, self.works_on_a_phone,
                     self.has_names_for_everything, self.survives_a_stop_and_a_restart):
            begun = time.monotonic()
            try:
                step()
            except Exception:
                self.page.viewport(1440, 900)
                self.shot("failed")
                print(f"FAILED {step.__name__}; the page said: {self.page.errors}", file=sys.stderr)
                raise
            print(f"ok {step.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        assert not self.page.errors, f"the page complained: {self.page.errors}"


def main():
    if not cdp.find_chromium():
        print("skipped: no Chromium here")
        return SKIPPED
    shots = sys.argv[3] if len(sys.argv) > 3 else None
    if shots:
        os.makedirs(shots, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="lockstep_page_")
    printer = browser = None
    try:
        printer = Daemon(sys.argv[1], sys.argv[2], folder)
        browser = cdp.Browser()
        PageTest(printer, browser, shots).run()
    finally:
        if browser:
            browser.close()
        if printer:
            printer.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
