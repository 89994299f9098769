// A listener who plays at once: when the first audible sample would be heard, and where he waits.
//
// The rule for "audible" is that of docs/explanation/metrics.md: the RMS over 10 ms, mean removed,
// stays above 0.01 of full scale for 20 ms, looked at every 1 ms.

const THRESHOLD = 0.01;
const FRAME_MS = 10;
const LOUD_HOPS = 20; // of 1 ms
const GAP_MS = 1.5; // less is rounding

export class Listener {
  constructor() {
    this.spans = []; // of heard sound: { from, to }, in ms
    this.firstSound = null;
    this.held = []; // samples that are not yet known to be silent
    this.pieces = []; // where they are heard: { at: their first sample, from, rate }
    this.count = 0;
  }

  // Takes samples that arrived at `at`, in ms.
  take(samples, rate, at) {
    const last = this.spans.at(-1);
    const from = Math.max(at, last?.to ?? at);
    const to = from + (1000 * samples.length) / rate;
    if (last && from - last.to < GAP_MS) last.to = to;
    else this.spans.push({ from, to });
    if (this.firstSound !== null) return;
    this.pieces.push({ at: this.count, from, rate });
    this.count += samples.length;
    this.held.push(samples);
    const found = firstAudible(joined(this.held), rate);
    if (found === null) return;
    const piece = this.pieces.findLast((one) => one.at <= found);
    this.firstSound = piece.from + (1000 * (found - piece.at)) / rate;
    this.held = [];
  }

  // What was not played at `at` is not heard.
  clear(at) {
    this.spans = this.spans.filter((span) => span.from < at);
    const last = this.spans.at(-1);
    if (last) last.to = Math.min(last.to, at);
  }

  get gaps() {
    return gapsBetween(this.spans);
  }
}

export function gapsBetween(spans) {
  return spans.slice(1).map((span, index) => ({ from: spans[index].to, to: span.from }));
}

// Returns the index of the first audible sample, or null.
export function firstAudible(samples, rate) {
  const width = Math.round((rate * FRAME_MS) / 1000);
  const hop = rate / 1000;
  let loud = 0;
  for (let index = 0; ; index += 1) {
    const start = Math.floor(index * hop);
    if (start + width > samples.length) return null;
    loud = variance(samples, start, width) > THRESHOLD ** 2 ? loud + 1 : 0;
    if (loud === LOUD_HOPS) return firstAway(samples, index - LOUD_HOPS + 1, width, hop);
  }
}

function firstAway(samples, index, width, hop) {
  const start = Math.floor(index * hop);
  const quiet = Math.floor(Math.max(0, index - 1) * hop);
  const level = median(samples.slice(quiet, Math.max(start, quiet + 1)));
  for (let at = start; at < start + width; at += 1) {
    if (Math.abs(samples[at] - level) > THRESHOLD) return at;
  }
  return start;
}

function variance(samples, start, width) {
  let sum = 0;
  let squares = 0;
  for (let at = start; at < start + width; at += 1) {
    sum += samples[at];
    squares += samples[at] * samples[at];
  }
  return squares / width - (sum / width) ** 2;
}

function median(values) {
  return Float32Array.from(values).sort()[values.length >> 1];
}

function joined(pieces) {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
