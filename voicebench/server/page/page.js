// Ask over the voice WebSocket, play the sound as it comes, and draw when everything came.
//
// Times are this page's own (performance.now), in ms since the question was sent; the messages are
// those of voicebench/wire.py.

import { drawWaterfall, heardSpans } from "./waterfall.js";
import { gapsBetween, Listener } from "./listener.js";
import { Player } from "./player.js";
import { address, duration, element, protocols } from "./parts.js";
import { prepareCalls, stopCall } from "./speaking.js";

const HEADER_BYTES = 8;
const INT16 = 1;

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let socket = null;
let turn = null;
let sampleRate = null;

// What is served.

async function introduce() {
  try {
    const health = await (await fetch("health")).json();
    $("served").textContent = `${health.chat_model} · ${health.voice}`;
    sampleRate = health.sample_rate;
    $("small").textContent = aboutModel(health.parameters);
    prepareCalls(health.hears);
    const models = await fetch("v1/models");
    $("lock").hidden = models.status !== 401;
  } catch {
    say("The server does not answer.", true);
  }
}

// How small the model is, so that nobody takes its words for the point.
function aboutModel(parameters) {
  if (!parameters) return "";
  const size = parameters < 1e9 ? `${Math.round(parameters / 1e6)} million` : `${(parameters / 1e9).toFixed(1)} billion`;
  const small = parameters < 1e9 ? "a very small one, and often wrong" : "a small one, and may be wrong";
  return parameters < 8e9 ? `The language model has ${size} parameters: ${small}. This page is about speed.` : "";
}

// The connection: opened with the first question, kept for the next one.

function connect() {
  if (socket && socket.readyState === WebSocket.OPEN) return Promise.resolve(socket);
  return new Promise((done, failed) => {
    const opening = new WebSocket(address("v1/voice"), protocols($("key").value));
    opening.binaryType = "arraybuffer";
    opening.onopen = () => { socket = opening; done(opening); };
    opening.onmessage = (message) => take(message.data);
    opening.onclose = () => {
      if (socket === opening) socket = null;
      failed(new Error("refused"));
      if (turn && !turn.over) end("The server hung up.", true);
    };
  });
}

// One turn.

async function ask(event) {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question) return;
  stop();
  stopCall();
  // Within the click, or the browser does not let the page make a sound.
  const player = new Player(sampleRate);
  say("Connecting …");
  try {
    await connect();
  } catch {
    player.stop();
    const locked = !$("lock").hidden;
    say(locked ? "The server does not let you in: is the key right?" : "The server cannot be reached.", true);
    if (locked) $("key").focus();
    return;
  }
  turn = {
    moments: [], over: false, player, began: performance.now(), reply: "", server: null,
    listener: new Listener(), samples: [],
  };
  $("again").hidden = true;
  $("answer").hidden = false;
  $("reply").textContent = "";
  $("moments").replaceChildren();
  $("stop").hidden = false;
  say("Thinking …");
  socket.send(JSON.stringify({ type: "turn_started", version: 1, prompt: question }));
  show();
}

function take(data) {
  if (!turn || turn.over) return;
  const at = performance.now() - turn.began;
  if (data instanceof ArrayBuffer) {
    takeSound(data, at);
    return;
  }
  const event = JSON.parse(data);
  if (event.type === "token" || event.type === "reply") {
    turn.moments.push({ at, kind: "word", text: event.text });
    turn.reply += event.text;
    $("reply").textContent = turn.reply;
  } else if (event.type === "text_chunk") {
    turn.moments.push({ at, kind: "piece", text: event.text });
  } else if (event.type === "server_timing") {
    turn.server = event.duration_ms;
  } else if (event.type === "turn_failed") {
    end(event.reason, true);
  } else if (event.type === "turn_finished") {
    end(turn.player.empty ? "It said nothing that can be heard." : "Done.", turn.player.empty);
  }
  showSoon();
}

function takeSound(data, at) {
  const view = new DataView(data);
  if (data.byteLength <= HEADER_BYTES || view.getUint8(3) !== INT16) return;
  const rate = view.getUint32(4, true);
  const stored = new Int16Array(data.slice(HEADER_BYTES));
  const samples = Float32Array.from(stored, (sample) => sample / 32768);
  const played = turn.player.play(samples, rate);
  turn.listener.take(samples, rate, at);
  turn.samples.push({ samples, rate });
  if (!turn.moments.some((moment) => moment.kind === "sound")) say("Speaking …");
  turn.moments.push({
    at,
    kind: "sound",
    seconds: samples.length / rate,
    from: played.from - turn.began,
    to: played.to - turn.began,
  });
  showSoon();
}

function end(words, alarm = false) {
  turn.over = true;
  turn.total = performance.now() - turn.began;
  if (alarm) {
    finish(words, true);
    return;
  }
  say("All of it is here; still speaking …");
  turn.player.whenSilent(() => finish(words));
  show();
}

function finish(words, alarm = false) {
  $("stop").hidden = true;
  $("again").hidden = !turn.samples.length;
  say(words, alarm);
  show();
}

// Plays the last answer again, without asking anybody.
function replay() {
  if (!turn?.over || !turn.samples.length) return;
  stop();
  stopCall();
  const { samples } = turn;
  turn.player = new Player(sampleRate);
  for (const piece of samples) turn.player.play(piece.samples, piece.rate);
  $("stop").hidden = false;
  $("again").hidden = true;
  say("Playing it again …");
  turn.player.whenSilent(() => finish("Done."));
  $("stop").focus();
}

function stop() {
  if (!turn) return;
  turn.player.stop();
  if (!turn.over) {
    turn.over = true;
    turn.total = performance.now() - turn.began;
    // Hanging up is how the server learns that nobody listens any more.
    if (socket) socket.close();
    socket = null;
    finish("Stopped.");
  } else if (!$("stop").hidden) {
    finish("Stopped.");
  }
}

// What is shown.

function say(words, alarm = false) {
  $("status").textContent = words;
  $("status").classList.toggle("alarm", alarm);
}

let drawing = 0;

function showSoon() {
  // Who asked for calm gets one picture, when it is complete.
  if (!drawing && !calm.matches) drawing = requestAnimationFrame(() => { drawing = 0; show(); });
}

function show() {
  if (!turn) return;
  const first = (kind) => turn.moments.find((moment) => moment.kind === kind);
  const sound = first("sound");
  const figures = [
    ["first token", first("word")?.at],
    ["first text chunk", first("piece")?.at],
    ["first audio", sound?.at],
    ["first sound", turn.listener.firstSound ?? undefined, "lead"],
    ["played here from", sound?.from],
    ["whole answer", turn.total],
  ];
  $("figures").replaceChildren(...figures.map(([name, ms, kind]) => {
    const box = element("div", { class: kind ?? "" });
    box.append(element("dt", {}, name), element("dd", {}, duration(ms)));
    return box;
  }));
  $("gaps").textContent = aboutGaps();
  drawWaterfall($("waterfall"), turn);
  if (turn.over) {
    $("moments").replaceChildren(...turn.moments.map((moment) => {
      const row = element("tr");
      const content = moment.kind === "sound" ? `${Math.round(1000 * moment.seconds)} ms` : moment.text;
      row.append(element("td", {}, duration(moment.at)), element("td", {}, moment.kind), element("td", {}, content));
      return row;
    }));
  }
}

function aboutGaps() {
  const sounds = turn.moments.filter((moment) => moment.kind === "sound");
  if (!sounds.length) return "";
  const gaps = gapsBetween(heardSpans(sounds));
  if (!gaps.length) return "It is heard without a gap.";
  const total = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  return `${gaps.length === 1 ? "1 gap" : `${gaps.length} gaps`} while it is heard, ${duration(total)} in all.`;
}

$("form").addEventListener("submit", ask);
$("stop").addEventListener("click", () => { stop(); $("question").focus(); });
$("again").addEventListener("click", replay);
$("talk").addEventListener("click", () => stop());
document.addEventListener("keydown", (event) => { if (event.key === "Escape") { stop(); stopCall(); } });
new ResizeObserver(() => show()).observe($("answer"));
introduce();
