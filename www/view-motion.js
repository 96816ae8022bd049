// Position, what is homed, speed, and the distance that a jog moves.

import { byId, element, setText, number } from './dom.js';

const DISTANCES_MM = [0.1, 1, 10, 50];

export function createMotionView(app) {
  for (const distance of DISTANCES_MM) {
    const input = element('input', { type: 'radio', name: 'jog-step', value: String(distance) });
    input.checked = distance === app.jogDistance;
    input.addEventListener('change', () => { app.jogDistance = distance; });
    byId('jog-steps').append(element('label', {}, input, `${distance} mm`));
  }
  return () => {
    const { printer } = app;
    const live = printer.get('motion_report', 'live_position') ?? printer.get('toolhead', 'position') ?? [];
    const offset = printer.get('gcode_move', 'homing_origin') ?? [0, 0, 0];
    const homed = printer.get('toolhead', 'homed_axes', '');
    ['x', 'y', 'z'].forEach((axis, i) => {
      const isKnown = typeof live[i] === 'number' && homed.includes(axis);
      setText(byId(`position-${axis}`), isKnown ? `${number(live[i] - (offset[i] ?? 0), 2)} mm` : '–');
    });
    setText(byId('position-homed'), homed ? homed.toUpperCase() : 'none');
    setText(byId('position-speed'), `${number(printer.get('motion_report', 'live_velocity', 0), 0)} mm/s`);
  };
}
