// Plays samples while they arrive: each piece begins where the one before it ends, or at once.

const LEAD_S = 0.02; // so that the first piece is not late before it begins

export class Player {
  // The rate is the voice's own where it is known: pieces are then joined without resampling.
  constructor(sampleRate) {
    this.context = new AudioContext(sampleRate ? { sampleRate } : {});
    this.context.resume();
    this.next = 0;
    this.zero = 0; // the context's moment 0 on the page's clock, in ms
    this.empty = true;
    this.playing = new Set();
    this.silent = null;
  }

  // Plays samples after all that came before; returns when, on the page's clock, in ms.
  play(samples, rate) {
    this.empty = false;
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    if (this.next < now + LEAD_S) {
      // The first piece, or one that comes after the listener ran dry: the two clocks are compared
      // anew. Within a run of pieces they are not, for each comparison is off by a little.
      this.next = now + LEAD_S;
      this.zero = performance.now() - 1000 * now + 1000 * (this.context.outputLatency || 0);
    }
    const begins = this.next;
    source.start(begins);
    this.next = begins + buffer.duration;
    this.playing.add(source);
    source.onended = () => {
      this.playing.delete(source);
      if (!this.playing.size && this.silent) this.silent();
    };
    return { from: this.zero + 1000 * begins, to: this.zero + 1000 * this.next };
  }

  // Takes back what was not played yet; what comes next is played at once.
  clear() {
    for (const source of this.playing) {
      source.onended = null;
      source.stop();
    }
    this.playing.clear();
    this.next = 0;
  }

  // Calls back when the last piece was played.
  whenSilent(done) {
    this.silent = () => { this.silent = null; this.close(); done(); };
    if (!this.playing.size) this.silent();
  }

  stop() {
    this.silent = null;
    for (const source of this.playing) source.stop();
    this.playing.clear();
    this.close();
  }

  close() {
    if (this.context.state !== "closed") this.context.close();
  }
}
