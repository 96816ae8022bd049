// Temperatures: a row for each heater and sensor, targets to type in, and a plot of the last ten minutes.

import { byId, element, setText, number } from './dom.js';

const HISTORY_S = 600;
const COLOURS = 6;

const colourOf = (index) => getComputedStyle(document.documentElement).getPropertyValue(`--plot-${index % COLOURS}`).trim();
const nameOf = (sensor) => sensor.split(' ').pop().replaceAll('_', ' ');

function targetScript(heater, target) {
  return `SET_HEATER_TEMPERATURE HEATER=${heater.split(' ').pop()} TARGET=${target}`;
}

function createRow(app, sensor, index) {
  const label = nameOf(sensor), swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  swatch.style.background = `var(--plot-${index % COLOURS})`;
  const now = element('td'), power = element('td'), target = element('td');
  const row = element('tr', {}, element('th', { scope: 'row' }, swatch, label), now, target, power);
  let input = null;
  if (app.printer.heaters.includes(sensor)) {
    input = element('input', { type: 'number', min: '0', max: '500', step: '1', inputmode: 'numeric', 'aria-label': `Target of ${label} in degrees` });
    input.addEventListener('change', () => {
      const value = Number(input.value);
      if (!Number.isFinite(value) || value < 0) return;
      input.blur();
      app.remote.script(targetScript(sensor, value)).catch(app.report);
    });
    target.append(input);
  }
  return {
    row,
    update() {
      const status = app.printer.status[sensor] ?? {};
      setText(now, `${number(status.temperature, 1)} °C`);
      setText(power, typeof status.power === 'number' ? `${Math.round(status.power * 100)} %` : '');
      if (input) {
        input.disabled = !app.printer.isReady;
        if (document.activeElement !== input) input.value = String(Math.round(status.target ?? 0));
      }
    },
  };
}

/** The highest value to show, on a round number. */
function scaleOf(printer, sensors) {
  let top = 50;
  for (const sensor of sensors) {
    const series = printer.temperatures.get(sensor);
    if (series) top = Math.max(top, ...series.temperatures, ...series.targets);
  }
  return Math.ceil((top + 5) / 50) * 50;
}

function drawGrid(context, width, height, top, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1;
  context.globalAlpha = 0.2; /* quieter than the curves */
  context.beginPath();
  for (let value = 0; value <= top; value += 50) {
    const y = Math.round(height - (value / top) * height) + 0.5;
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  for (let minute = 1; minute < HISTORY_S / 60; minute++) {
    const x = Math.round(width - (minute * 60 / HISTORY_S) * width) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, height);
  }
  context.stroke();
  context.globalAlpha = 1;
  context.font = '11px system-ui, sans-serif';
  for (let value = 50; value <= top; value += 50) context.fillText(`${value}`, 2, height - (value / top) * height + 12);
  context.textAlign = 'center';
  for (const minute of [2, 4, 6, 8]) context.fillText(`−${minute} min`, width - (minute * 60 / HISTORY_S) * width, height - 3);
  context.textAlign = 'start';
}

function drawSeries(context, values, width, height, top, dash) {
  context.setLineDash(dash);
  context.beginPath();
  values.forEach((value, i) => {
    const x = width - ((values.length - 1 - i) / HISTORY_S) * width, y = height - (Math.max(value, 0) / top) * height;
    if (i === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
  });
  context.stroke();
}

function plot(printer, sensors) {
  const canvas = byId('temperature-plot'), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const top = scaleOf(printer, sensors);
  drawGrid(context, width, height, top, getComputedStyle(canvas).getPropertyValue('--soft'));
  sensors.forEach((sensor, index) => {
    const series = printer.temperatures.get(sensor);
    if (!series) return;
    context.strokeStyle = colourOf(index);
    context.lineWidth = 2;
    drawSeries(context, series.temperatures, width, height, top, []);
    context.lineWidth = 1;
    if (printer.heaters.includes(sensor)) drawSeries(context, series.targets, width, height, top, [4, 4]);
  });
  context.setLineDash([]);
}

export function createTemperatureView(app) {
  let shown = '', rows = [];
  return (changed) => {
    const sensors = app.printer.sensors, key = sensors.join('|');
    if (key !== shown) {
      shown = key;
      rows = sensors.map((sensor, index) => createRow(app, sensor, index));
      byId('temperature-rows').replaceChildren(...rows.map((entry) => entry.row));
    }
    rows.forEach((entry) => entry.update());
    if (changed.has('temperatures') || changed.has('resize')) plot(app.printer, sensors);
  };
}
