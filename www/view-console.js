// The console: what was sent and answered, a line to type with history (arrow up and down, kept over reloads).

import { byId, element } from './dom.js';

const HISTORY_KEY = 'lockstep.console', HISTORY_MAX = 100;

function readHistory() {
  try {
    const list = JSON.parse(localStorage.getItem(HISTORY_KEY));
    return Array.isArray(list) ? list.filter((line) => typeof line === 'string') : [];
  } catch {
    return []; // no storage here, or something else's
  }
}

function keepHistory(list) {
  try {
    localStorage.setItem(HISTORY_KEY, JSON.stringify(list));
  } catch { /* no storage here */ }
}

/** "B:62.8 /60.0 T0:208.1 /210.0": what a wait for a temperature prints each second. */
const isTemperatureReport = (entry) => entry.kind !== 'command' && /^(ok )?([A-Z]\w*:-?[\d.]+ \/-?[\d.]+ ?)+$/.test(entry.text);

function createLine(entry) {
  const kind = entry.kind === 'command' ? 'command' : entry.text.startsWith('!!') ? 'error' : '';
  return element('li', kind ? { class: kind } : {}, (kind === 'command' ? '> ' : '') + entry.text);
}

export function createConsoleView(app) {
  const input = byId('console-input'), lines = byId('console-lines');
  const withTemperatures = byId('console-temperatures');
  const history = readHistory();
  let place = history.length, known = '';

  app.focusConsole = () => input.focus();
  app.sendConsole = async () => {
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    if (history.at(-1) !== text) history.push(text);
    history.splice(0, Math.max(0, history.length - HISTORY_MAX));
    place = history.length;
    keepHistory(history);
    app.printer.addConsole('command', text);
    await app.remote.script(text).catch((error) => {
      const isTold = app.printer.console.slice(-20).some((entry) => entry.text.includes(error.message));
      if (!isTold) app.printer.addConsole('response', `!! ${error.message}`); // the printer prints its own errors
    });
  };
  byId('console-form').addEventListener('submit', (event) => {
    event.preventDefault();
    app.run('send');
  });
  input.addEventListener('keydown', (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || (step < 0 && place === 0) || (step > 0 && place >= history.length)) return;
    event.preventDefault();
    place += step;
    input.value = history[place] ?? '';
  });

  const show = () => {
    const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    const shown = app.printer.console.filter((entry) => withTemperatures.checked || !isTemperatureReport(entry));
    lines.replaceChildren(...shown.map(createLine));
    if (isAtEnd) lines.scrollTop = lines.scrollHeight;
  };
  withTemperatures.addEventListener('change', show);

  return (changed) => {
    if (changed.has('console')) show();
    const names = Object.keys(app.printer.commands).sort();
    if (changed.has('commands') && names.join() !== known) {
      known = names.join();
      byId('console-commands').replaceChildren(...names.map((name) => element('option', { value: name })));
    }
  };
}
