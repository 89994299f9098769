// The button that calls the agent, and what the page shows of the call.

import { address, duration, element, protocols } from "./parts.js";
import { Call, waits } from "./call.js";
import { drawCall, STAGES } from "./call_drawing.js";
import { Microphone, whyNoMicrophone } from "./microphone.js";
import { Player } from "./player.js";

const NO_EARS = "To speak to it, start the server with voicebench serve --ears. Until then, type your question.";
const COLUMNS = ["endpoint", "transcript", "token", "audio", "response", "stop"];

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let call = null;
let microphone = null;
let drawing = 0;
let opening = 0; // counts, so that a call that was stopped while it was opened stays stopped

// `hears` says whether the server takes spoken calls.
export function prepareCalls(hears) {
  const why = hears ? whyNoMicrophone() : NO_EARS;
  $("talk").disabled = why !== null;
  $("talk-note").textContent = why ?? "It asks for your microphone, and records nothing before.";
  $("speak").hidden = false;
}

export function stopCall() {
  opening += 1;
  if (call && !call.over) call.hangUp();
  else release();
}

async function toggle() {
  if ((call && !call.over) || $("talk").dataset.busy) {
    stopCall();
    return;
  }
  opening += 1;
  const mine = opening;
  label("Hang up", true);
  say("Asking for the microphone …");
  // Within the click, or the browser does not let the page make a sound.
  const player = new Player(24000);
  let socket = null;
  try {
    const granted = await Microphone.open((frame) => call?.hear(frame), () => call?.end("The microphone was unplugged.", true));
    microphone = granted;
    if (mine === opening) socket = await opened();
  } catch (error) {
    player.stop();
    release();
    say(error.message, true);
    return;
  }
  if (mine !== opening) {
    player.stop();
    socket?.close();
    release();
    say("");
    return;
  }
  call = new Call(socket, player, { changed: showSoon, ended });
  $("call").hidden = false;
  say("Listening: speak, and interrupt it if you like.");
  show();
}

// Returns the call's socket once the server has said that it is ready.
function opened() {
  return new Promise((done, failed) => {
    const socket = new WebSocket(address("v1/call"), protocols($("key").value));
    socket.binaryType = "arraybuffer";
    socket.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (event.type === "ready") done(socket);
      else failed(new Error(event.error?.message ?? "The server does not take the call."));
    };
    socket.onclose = () => failed(new Error(
      $("lock").hidden ? "The server cannot be reached." : "The server does not let you in: is the key right?",
    ));
  });
}

function ended(words, alarm) {
  release();
  say(words, alarm);
  show();
}

function release() {
  microphone?.close();
  microphone = null;
  label("Speak", false);
}

function label(text, busy) {
  $("talk").textContent = text;
  $("talk").setAttribute("aria-pressed", String(busy));
  if (busy) $("talk").dataset.busy = "yes";
  else delete $("talk").dataset.busy;
}

function say(words, alarm = false) {
  $("status").textContent = words;
  $("status").classList.toggle("alarm", alarm);
}

function showSoon() {
  if (!drawing && !calm.matches) drawing = requestAnimationFrame(() => { drawing = 0; show(); });
}

function show() {
  if (!call) return;
  drawCall($("call-drawing"), call.record);
  $("call-turns").replaceChildren(...call.record.turns.map((turn, index) => row(turn, index + 1)));
}

function row(turn, number) {
  const found = waits(turn);
  const made = element("tr");
  made.append(element("td", {}, String(number)));
  for (const key of COLUMNS) made.append(element("td", { class: key === "response" ? "lead" : "" }, duration(found[key])));
  made.append(element("td", { class: "words" }, turn.said), element("td", { class: "words" }, turn.reply));
  return made;
}

$("stages").replaceChildren(...STAGES.map(({ key, name }) => {
  const made = element("li", {});
  made.append(element("span", { class: `mark ${key}` }), document.createTextNode(name));
  return made;
}));
$("talk").addEventListener("click", toggle);
new ResizeObserver(() => show()).observe($("call"));
