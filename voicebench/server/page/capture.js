// The microphone as frames of 20 ms at 16 kHz, 16-bit: what the call socket takes.
//
// Runs in the audio thread. A windowed sinc below 7.2 kHz resamples from the device's own rate.

const RATE = 16000;
const FRAME = 320;
const CUTOFF = 0.9; // of half the lower rate
const CROSSINGS = 16;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;
    this.scale = (CUTOFF * Math.min(sampleRate, RATE)) / sampleRate;
    this.reach = Math.ceil(CROSSINGS / this.scale);
    this.kept = new Float32Array(this.reach);
    this.next = this.reach; // where in `kept` the next sample of 16 kHz lies
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (samples) this.take(samples);
    return true;
  }

  take(samples) {
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    while (this.next + this.reach < all.length) {
      this.give(this.step === 1 ? all[this.next] : this.between(all, this.next));
      this.next += this.step;
    }
    const done = Math.floor(this.next) - this.reach;
    this.kept = all.slice(done);
    this.next -= done;
  }

  between(all, place) {
    const middle = Math.floor(place);
    let sum = 0;
    for (let at = middle - this.reach + 1; at <= middle + this.reach; at += 1) {
      const distance = at - place;
      const turn = Math.PI * this.scale * distance;
      const sinc = Math.abs(turn) < 1e-9 ? 1 : Math.sin(turn) / turn;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / (this.reach + 1));
      sum += all[at] * sinc * window;
    }
    return sum * this.scale;
  }

  give(sample) {
    this.frame[this.filled] = Math.max(-1, Math.min(1, sample)) * 32767;
    this.filled += 1;
    if (this.filled < FRAME) return;
    this.port.postMessage(this.frame, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
