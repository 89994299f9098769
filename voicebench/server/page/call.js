// A spoken call over /v1/call: frames of the microphone out, the agent's sound and events in.
//
// All moments are ms of this page's clock since the call began. The caller's speech is found by its
// loudness here, because a person speaks; `voicebench call` knows it to the sample.

import { Listener } from "./listener.js";

const RATE = 24000;
const FRAME_MS = 20;
const SPEECH = 0.012; // RMS of full scale
const HOLD_MS = 240; // a shorter pause does not end a stretch of speech

export class CallRecord {
  constructor() {
    this.speech = []; // of the caller: { from, to }
    this.turns = [];
    this.heard = []; // spans of the agent: { from, to }
    this.cleared = [];
    this.levels = 0; // frames seen
    this.floor = SPEECH / 3;
  }

  // Takes a frame of the caller that was sent at `at`.
  takeFrame(frame, at) {
    this.levels += 1;
    let squares = 0;
    for (const sample of frame) squares += sample * sample;
    const level = Math.sqrt(squares / frame.length) / 32768;
    // The noise of the room: falls at once, rises slowly.
    this.floor = level < this.floor ? level : this.floor * 1.005;
    if (level < Math.max(SPEECH, 3 * this.floor)) return;
    const last = this.speech.at(-1);
    if (last && at - last.to < HOLD_MS) last.to = at;
    else this.speech.push({ from: at - FRAME_MS, to: at });
  }

  // Takes an event of the agent; returns whether the picture changes.
  takeEvent(event, at) {
    const turn = this.turns.at(-1);
    if (event.type === "speech_stopped") {
      this.turns.push(this.newTurn(at));
    } else if (event.type === "transcript") {
      if (!event.final) return false;
      const open = turn && !turn.reply ? turn : this.begin(at);
      open.said = `${open.said} ${event.text}`.trim();
      open.transcript ??= at;
    } else if (event.type === "reply") {
      const open = turn ?? this.begin(at);
      open.token ??= at;
      open.reply += event.text;
    } else if (event.type === "clear") {
      this.clear(at);
    } else {
      return false;
    }
    return true;
  }

  takeSound(samples, at) {
    const turn = this.turns.at(-1) ?? this.begin(at);
    turn.audio ??= at;
    turn.listener.take(samples, RATE, at);
  }

  begin(at) {
    this.turns.push(this.newTurn(at, null));
    return this.turns.at(-1);
  }

  newTurn(at, endpoint = at) {
    const end = this.speech.at(-1)?.to ?? null;
    return {
      end, endpoint, said: "", reply: "", transcript: null, token: null, audio: null,
      stopped: null, interrupted: null, listener: new Listener(),
    };
  }

  // The agent took back what was not played: it was interrupted.
  clear(at) {
    this.cleared.push(at);
    const turn = this.turns.findLast((one) => one.audio !== null);
    if (!turn) return;
    turn.listener.clear(at);
    turn.stopped = at;
    turn.interrupted = this.speech.findLast((one) => one.from <= at)?.from ?? null;
  }

  get end() {
    const spans = this.turns.flatMap((turn) => turn.listener.spans);
    return Math.max(1000, this.levels * FRAME_MS, ...spans.map((span) => span.to));
  }
}

// The spans of a turn that METRICS names, in ms from the end of the caller's speech; undefined where
// the agent did not show them.
export function waits(turn) {
  const since = (at) => (at === null || turn.end === null ? undefined : at - turn.end);
  return {
    endpoint: since(turn.endpoint),
    transcript: since(turn.transcript),
    token: since(turn.token),
    audio: since(turn.audio),
    response: since(turn.listener.firstSound),
    stop: turn.stopped === null || turn.interrupted === null ? undefined : turn.stopped - turn.interrupted,
  };
}

export class Call {
  // `callbacks`: changed(), ended(words, alarm). Throws an Error with a sentence.
  constructor(socket, player, callbacks) {
    this.record = new CallRecord();
    this.socket = socket;
    this.player = player;
    this.callbacks = callbacks;
    this.began = performance.now();
    this.over = false;
    socket.onmessage = (message) => this.take(message.data);
    socket.onclose = () => this.end("The server hung up.", true);
  }

  get now() {
    return performance.now() - this.began;
  }

  // Sends a frame of the microphone.
  hear(frame) {
    if (this.over || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(frame.buffer);
    this.record.takeFrame(frame, this.now);
    this.callbacks.changed();
  }

  take(data) {
    if (this.over) return;
    const at = this.now;
    if (data instanceof ArrayBuffer) {
      const samples = Float32Array.from(new Int16Array(data), (sample) => sample / 32768);
      if (!samples.length) return;
      this.record.takeSound(samples, at);
      this.player.play(samples, RATE);
    } else {
      const event = JSON.parse(data);
      if (event.error) {
        this.end(event.error.message, true);
        return;
      }
      if (event.type === "clear") this.player.clear();
      if (!this.record.takeEvent(event, at)) return;
    }
    this.callbacks.changed();
  }

  hangUp() {
    if (!this.over && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "hang_up" }));
    }
    this.end("You hung up.");
  }

  end(words, alarm = false) {
    if (this.over) return;
    this.over = true;
    this.player.stop();
    this.socket.close();
    this.callbacks.ended(words, alarm);
  }
}
