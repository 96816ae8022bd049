// Puts the page together: one Remote, one Printer, the views, and buttons and keys made from the table of actions.

import { Remote } from './remote.js';
import { Printer } from './printer.js';
import { actions, actionOfKey, isEnabled, keyList, runAction } from './actions.js';
import { byId, element, setText } from './dom.js';
import { createConsoleView } from './view-console.js';
import { createFilesView } from './view-files.js';
import { createJobView } from './view-job.js';
import { createMotionView } from './view-motion.js';
import { createTemperatureView } from './view-temperatures.js';

const TOAST_MS = 8000;
const remote = new Remote(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/websocket`);
const printer = new Printer(remote);

const app = { printer, remote, jogDistance: 10 };

app.run = (name, argument) => runAction(app, name, argument);

app.report = (error) => {
  const toast = element('p', { class: 'toast' }, error.message || String(error));
  byId('toasts').append(toast);
  setTimeout(() => toast.remove(), TOAST_MS);
};

/** Ask a question; resolves with true for yes. */
app.ask = (title, text, yes, no = 'No') => new Promise((resolve) => {
  const dialog = byId('ask');
  setText(byId('ask-title'), title);
  setText(byId('ask-text'), text);
  setText(byId('ask-yes'), yes);
  setText(byId('ask-no'), no);
  dialog.returnValue = 'no';
  dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  dialog.showModal();
});

app.showHelp = () => {
  byId('help-keys').replaceChildren(...keyList(app).flatMap(({ key, what }) => [element('dt', {}, key), element('dd', {}, what)]));
  byId('help').showModal();
};

function dress(button, name, forWhat = '') {
  const action = actions[name];
  button.type = button.type === 'submit' && name === 'send' ? 'submit' : 'button';
  button.textContent = action.label;
  button.title = action.title + (action.key ? ` (${action.key})` : '');
  if (forWhat) button.setAttribute('aria-label', action.label + forWhat);
  if (action.key) button.setAttribute('aria-keyshortcuts', action.key);
}

/** A button for an action on one thing, such as a file. */
app.createButton = (name, argument, forWhat) => {
  const button = element('button', { 'data-action': name });
  dress(button, name, forWhat);
  button.dataset.argument = argument;
  button.disabled = !isEnabled(app, name, argument);
  return button;
};

function updateButtons() {
  for (const button of document.querySelectorAll('button[data-action]')) {
    const { action: name, argument } = button.dataset;
    button.disabled = !isEnabled(app, name, argument);
    const { shown } = actions[name];
    if (shown) button.hidden = !shown(app);
  }
}

function updateConnection() {
  const badge = byId('connection'), isOnline = printer.connection === 'online';
  setText(badge, isOnline ? `Printer: ${printer.state}` : printer.connection === 'offline' ? 'Connection lost, trying again…' : 'Connecting…');
  badge.dataset.tone = !isOnline ? 'bad' : printer.state === 'ready' ? 'good' : printer.state === 'startup' ? 'warn' : 'bad';
  const isTrouble = isOnline && ['error', 'shutdown', 'startup'].includes(printer.state) && printer.stateMessage;
  byId('trouble').hidden = !isTrouble;
  setText(byId('trouble-title'), printer.state === 'startup' ? 'The printer is starting' : 'The printer has stopped');
  setText(byId('trouble-text'), printer.stateMessage.trim());
  document.title = isOnline && printer.get('print_stats', 'state') === 'printing'
    ? `${Math.round(printer.get('virtual_sdcard', 'progress', 0) * 100)} % · Lockstep` : 'Lockstep';
}

for (const button of document.querySelectorAll('button[data-action]')) dress(button, button.dataset.action);
const views = [createJobView, createTemperatureView, createMotionView, createFilesView, createConsoleView].map((create) => create(app));

function update(changed) {
  updateConnection();
  for (const view of views) view(changed);
  updateButtons();
}

printer.addEventListener('change', (event) => update(event.detail));
window.addEventListener('resize', () => update(new Set(['resize'])));
document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (!button || button.type === 'submit') return;
  app.run(button.dataset.action, button.dataset.argument);
});
document.addEventListener('keydown', (event) => {
  const name = actionOfKey(event);
  if (!name || (actions[name].shown && !actions[name].shown(app))) return;
  event.preventDefault();
  app.run(name);
});

update(new Set(['files', 'console', 'resize']));
remote.connect();
