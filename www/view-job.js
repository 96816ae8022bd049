// The print job: state with its reason and the next step, progress, times.

import { byId, setText, duration, number } from './dom.js';

const TONES = {
  printing: 'good', started: 'good', complete: 'good', ready: 'good',
  paused: 'warn', pause_locked: 'warn', cancelled: 'warn', error: 'bad',
};
const STATE_WORDS = { pause_locked: 'paused, locked', initialized: 'ready' };

/** Seconds left: by the file's bytes once enough of it is done, before that by the slicer's estimate; null: unknown. */
function remaining(printer, progress) {
  const printed = printer.get('print_stats', 'print_duration', 0);
  const estimate = printer.metadata?.estimated_time;
  const byFile = progress > 0.02 && printed > 0 ? printed / progress - printed : null;
  if (!estimate) return byFile;
  const bySlicer = Math.max(estimate - printed, 0);
  if (byFile === null) return bySlicer;
  return progress * byFile + (1 - progress) * bySlicer; // what has been measured counts more and more
}

function layerText(printer) {
  const info = printer.get('print_stats', 'info', {}) ?? {};
  const current = info.current_layer, total = info.total_layer ?? printer.metadata?.layer_count;
  return current === null || current === undefined ? '–' : total ? `${current} of ${total}` : String(current);
}

/** {state, reason, next}: from the unit that keeps job states if there is one, else from print_stats. */
function describe(printer) {
  const print = printer.get('print_stats', 'state', 'standby');
  if (printer.has('mmu')) {
    const state = printer.get('mmu', 'print_job_state', print);
    const isPaused = printer.get('pause_resume', 'is_paused', false);
    const words = state === 'printing' && isPaused ? 'paused' : STATE_WORDS[state] ?? state;
    return {
      state: words, tone: TONES[words] ?? TONES[state],
      reason: printer.get('mmu', 'reason_for_pause', '') || printer.get('print_stats', 'message', ''),
      next: state === 'printing' && isPaused ? 'Resume goes on with the print, Cancel ends it.' : printer.get('mmu', 'next_step', ''),
      isLoud: ['pause_locked', 'paused', 'error'].includes(state) || isPaused,
    };
  }
  return {
    state: print, tone: TONES[print], reason: printer.get('print_stats', 'message', ''),
    next: print === 'paused' ? 'Resume goes on with the print, Cancel ends it.' : '',
    isLoud: print === 'paused' || print === 'error',
  };
}

export function createJobView(app) {
  const { printer } = app;
  return () => {
    const job = describe(printer);
    const progress = printer.get('display_status', 'progress') || printer.get('virtual_sdcard', 'progress', 0) || 0;
    const isBusy = ['printing', 'paused'].includes(printer.get('print_stats', 'state'));
    const badge = byId('job-state');
    setText(badge, printer.isReady ? job.state : printer.state);
    badge.dataset.tone = printer.isReady ? job.tone ?? '' : 'bad';
    setText(byId('job-file'), printer.get('print_stats', 'filename', '') || 'No file');
    byId('job-notice').hidden = !job.isLoud || !printer.isReady;
    setText(byId('job-reason'), job.reason);
    byId('job-reason').hidden = !job.reason;
    setText(byId('job-next'), job.next);
    byId('job-progress').value = progress * 100;
    setText(byId('job-percent'), `${(progress * 100).toFixed(1)} %`);
    setText(byId('job-elapsed'), duration(printer.get('print_stats', 'total_duration', 0)));
    const left = isBusy ? remaining(printer, progress) : null;
    setText(byId('job-remaining'), left === null ? '–' : duration(left));
    setText(byId('job-layer'), layerText(printer));
    setText(byId('job-filament'), `${number(printer.get('print_stats', 'filament_used', 0) / 1000, 2)} m`);
    setText(byId('job-message'), printer.get('display_status', 'message', '') ?? '');
  };
}
