// Everything a person can do here, in one table: label, key, when it is possible, what it does. Buttons, keys and the help
// come from it. `app` offers printer, remote, ask(title, text, yes), report(error), and the views' own doings.

const printState = (app) => app.printer.get('print_stats', 'state', 'standby');
const jobState = (app) => app.printer.get('mmu', 'print_job_state', '');
const isMoving = (app) => printState(app) === 'printing';
const isPaused = (app) => app.printer.get('pause_resume', 'is_paused', false) || ['pause_locked', 'paused'].includes(jobState(app));
const isReady = (app) => app.printer.isReady;
const mayMove = (app) => isReady(app) && !isMoving(app);
const isHomed = (app, axes) => [...axes].every((axis) => app.printer.get('toolhead', 'homed_axes', '').includes(axis));
const has = (app, command) => Object.keys(app.printer.commands).length === 0 || command in app.printer.commands;

const FEED_MM_MIN = { x: 6000, y: 6000, z: 600 };

function jog(axis, sign, label, key) {
  return {
    label, key, scope: 'jog', title: `Move ${axis.toUpperCase()} ${sign > 0 ? 'up' : 'down'} by the chosen distance`,
    enabled: (app) => mayMove(app) && isHomed(app, axis),
    run: (app) => app.remote.script(
      `SAVE_GCODE_STATE NAME=_page_jog\nG91\nG1 ${axis.toUpperCase()}${sign * app.jogDistance} F${FEED_MM_MIN[axis]}\nRESTORE_GCODE_STATE NAME=_page_jog`),
  };
}

function home(axes, label, key) {
  return {
    label, key, title: axes ? `Home ${axes}` : 'Home all axes',
    enabled: mayMove,
    run: (app) => app.remote.script(`G28 ${axes}`.trim()),
  };
}

export const actions = {
  emergencyStop: {
    label: 'Emergency stop', key: 'Shift+Escape', title: 'Stop everything at once; the printer then needs a restart', anywhere: true,
    enabled: (app) => app.printer.connection === 'online',
    run: (app) => app.remote.call('printer.emergency_stop'),
  },
  help: { label: 'Keys', key: '?', title: 'Show the keys', enabled: () => true, run: (app) => app.showHelp() },
  restart: {
    label: 'Restart', title: 'Read the configuration again',
    enabled: (app) => app.printer.connection === 'online',
    run: (app) => app.remote.call('printer.restart'),
  },
  firmwareRestart: {
    label: 'Firmware restart', title: 'Restart the boards too',
    enabled: (app) => app.printer.connection === 'online',
    run: (app) => app.remote.call('printer.firmware_restart'),
  },

  pause: {
    label: 'Pause', key: 'p', title: 'Pause the print',
    enabled: (app) => isReady(app) && isMoving(app) && !isPaused(app),
    run: (app) => app.remote.call('printer.print.pause', {}, 0),
  },
  resume: {
    label: 'Resume', key: 'r', title: 'Go on with the print; unlocks the job if it is locked',
    enabled: (app) => isReady(app) && isPaused(app),
    run: (app) => app.remote.call(app.printer.has('mmu') ? 'printer.mmu.resume' : 'printer.print.resume', {}, 0),
  },
  unlock: {
    label: 'Unlock', key: 'u', title: 'Heat up again without printing',
    shown: (app) => app.printer.has('mmu'),
    enabled: (app) => isReady(app) && jobState(app) === 'pause_locked',
    run: (app) => app.remote.call('printer.mmu.unlock', {}, 0),
  },
  cancel: {
    label: 'Cancel print', key: 'c', title: 'End the print',
    enabled: (app) => isReady(app) && (isMoving(app) || printState(app) === 'paused' || isPaused(app)),
    run: async (app) => {
      const file = app.printer.get('print_stats', 'filename', '') || 'the print';
      if (await app.ask('Cancel the print?', `${file} cannot be continued afterwards.`, 'Cancel print', 'Keep printing')) {
        await app.remote.call('printer.print.cancel', {}, 0);
      }
    },
  },
  clearJob: {
    label: 'Clear', title: 'Forget the finished print',
    shown: (app) => ['complete', 'cancelled', 'error'].includes(printState(app)),
    enabled: isReady,
    run: (app) => app.remote.script('SDCARD_RESET_FILE'),
  },

  heatersOff: {
    label: 'Heaters off', key: 'o', title: 'Switch every heater off',
    enabled: (app) => mayMove(app) && app.printer.heaters.length > 0,
    run: (app) => app.remote.script('TURN_OFF_HEATERS'),
  },

  homeAll: home('', 'Home all', 'h'),
  homeX: home('X', 'Home X'),
  homeY: home('Y', 'Home Y'),
  homeZ: home('Z', 'Home Z'),
  motorsOff: { label: 'Motors off', title: 'Switch the motors off; the position is lost', enabled: mayMove, run: (app) => app.remote.script('M84') },
  jogXMinus: jog('x', -1, '− X', 'ArrowLeft'),
  jogXPlus: jog('x', 1, '+ X', 'ArrowRight'),
  jogYMinus: jog('y', -1, '− Y', 'ArrowDown'),
  jogYPlus: jog('y', 1, '+ Y', 'ArrowUp'),
  jogZMinus: jog('z', -1, '− Z', 'PageDown'),
  jogZPlus: jog('z', 1, '+ Z', 'PageUp'),

  upload: {
    label: 'Upload…', key: 'l', title: 'Upload a G-code file',
    enabled: (app) => app.printer.connection === 'online',
    run: (app) => app.chooseFiles(),
  },
  print: {
    label: 'Print', title: 'Print this file',
    enabled: (app) => isReady(app) && !isMoving(app) && !isPaused(app) && printState(app) !== 'paused',
    run: (app, path) => app.remote.call('printer.print.start', { filename: path }, 0),
  },
  remove: {
    label: 'Delete', title: 'Delete this file',
    enabled: (app, path) => app.printer.connection === 'online' &&
      !(path === app.printer.get('print_stats', 'filename') && (isMoving(app) || isPaused(app))),
    run: async (app, path) => {
      if (await app.ask('Delete the file?', path, 'Delete', 'Keep')) {
        await app.remote.call('server.files.delete_file', { path: `gcodes/${path}` });
      }
    },
  },

  console: { label: 'Console', key: '/', title: 'Go to the console', enabled: () => true, run: (app) => app.focusConsole() },
  send: {
    label: 'Send', title: 'Send the line', enabled: (app) => app.printer.connection === 'online',
    run: (app) => app.sendConsole(),
  },
};

/** May it be done now? (`argument`: the file, for those that need one) */
export const isEnabled = (app, name, argument) => actions[name].enabled(app, argument);

/** Do it; what fails is reported to the person. */
export async function runAction(app, name, argument) {
  if (!isEnabled(app, name, argument)) return;
  try {
    await actions[name].run(app, argument);
  } catch (error) {
    app.report(error);
  }
}

/** The action of a key press, or null. Plain letters do nothing while text is being typed. */
export function actionOfKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const pressed = event.key.length > 1 && event.shiftKey ? `Shift+${event.key}` : event.key;
  const isTyping = event.target.matches?.('input:not([type=radio], [type=checkbox]), textarea, select');
  const isInDialog = event.target.closest?.('dialog');
  for (const [name, action] of Object.entries(actions)) {
    if (action.key !== pressed) continue;
    if (action.anywhere) return name;
    if (isTyping || isInDialog) return null;
    if (action.scope && !event.target.closest?.(`#${action.scope}`)) return null;
    return name;
  }
  return null;
}

/** Keys as a person reads them, for the help. */
export function keyList(app) {
  return Object.values(actions)
    .filter((action) => action.key && (!action.shown || action.shown(app)))
    .map((action) => ({ key: action.key.replace('Arrow', 'Arrow ').replace('Page', 'Page '), what: action.title + (action.scope ? ' (in “Move”)' : '') }));
}
