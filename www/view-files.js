// The files on the printer: list, upload, print, delete.

import { byId, element, setText, bytes } from './dom.js';

const SHOWN_MAX = 200;

function createItem(app, file) {
  const when = new Date(file.modified * 1000).toLocaleString();
  const name = element('span', { class: 'name' }, file.path, element('small', {}, `${bytes(file.size)} · ${when}`));
  const buttons = ['print', 'remove'].map((action) => app.createButton(action, file.path, `: ${file.path}`));
  return element('li', {}, name, ...buttons);
}

async function uploadAll(app, files) {
  const startPrint = byId('upload-print').checked;
  for (const file of files) {
    const line = byId('upload-state');
    try {
      setText(line, `Uploading ${file.name}…`);
      await app.remote.upload(file, startPrint && files.length === 1, (part) => setText(line, `Uploading ${file.name}: ${Math.round(part * 100)} %`));
      setText(line, `${file.name} has been uploaded`);
    } catch (error) {
      setText(line, '');
      app.report(error);
    }
  }
}

export function createFilesView(app) {
  const input = byId('upload-input'), card = byId('files');
  app.chooseFiles = () => input.click();
  input.addEventListener('change', () => {
    uploadAll(app, [...input.files]).finally(() => { input.value = ''; });
  });
  card.addEventListener('dragover', (event) => event.preventDefault());
  card.addEventListener('drop', (event) => {
    event.preventDefault();
    uploadAll(app, [...event.dataTransfer.files]);
  });
  return (changed) => {
    if (!changed.has('files')) return;
    const items = app.printer.files.slice(0, SHOWN_MAX).map((file) => createItem(app, file));
    if (items.length === 0) items.push(element('li', { class: 'hint' }, 'No files yet. Upload one, or drop it here.'));
    if (app.printer.files.length > SHOWN_MAX) items.push(element('li', { class: 'hint' }, `and ${app.printer.files.length - SHOWN_MAX} older ones`));
    byId('file-list').replaceChildren(...items);
  };
}
