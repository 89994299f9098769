// One turn as lanes over time: words, the pieces handed to the voice, sound, and what is heard.

import { gapsBetween } from "./listener.js";

const NS = "http://www.w3.org/2000/svg";
const LANES = [
  { kind: "word", name: "words" },
  { kind: "piece", name: "pieces" },
  { kind: "sound", name: "sound" },
  { kind: "heard", name: "heard" },
];
const LANE_HEIGHT = 40;
const TOP = 40;
export const BOTTOM = 28;
const TARGET_MS = 300; // what people take for an answer at once; the target of METRICS
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000];

export function drawWaterfall(place, turn) {
  const width = place.clientWidth;
  if (!width) return;
  const left = 62;
  const right = 14;
  const height = TOP + LANES.length * LANE_HEIGHT + BOTTOM;
  const sounds = turn.moments.filter((moment) => moment.kind === "sound");
  const last = Math.max(1.15 * TARGET_MS, turn.total ?? 0, ...turn.moments.map((moment) => moment.to ?? moment.at));
  const x = (ms) => left + (ms / last) * (width - left - right);
  const lane = (kind) => TOP + LANES.findIndex((one) => one.kind === kind) * LANE_HEIGHT;

  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  svg.append(titled(describe(turn, sounds)));
  svg.append(axis(x, last, width, height));
  for (const { kind, name } of LANES) {
    svg.append(make("text", { class: "lane-name", x: 0, y: lane(kind) + LANE_HEIGHT / 2 + 4 }, name));
  }
  for (const moment of turn.moments) {
    if (moment.kind === "word") svg.append(tick("word", x(moment.at), lane("word"), 11));
    if (moment.kind === "sound") svg.append(tick("arrival", x(moment.at), lane("sound"), 8));
  }
  drawPieces(svg, turn, x, lane("piece"));
  const heard = heardSpans(sounds);
  drawTarget(svg, x, height);
  for (const gap of gapsBetween(heard)) drawGap(svg, gap, x, lane("heard"));
  for (const span of heard) {
    svg.append(make("rect", {
      class: "played", x: x(span.from), y: lane("heard") + 10,
      width: Math.max(1, x(span.to) - x(span.from)), height: LANE_HEIGHT - 20, rx: 3,
    }));
  }
  if (turn.listener.firstSound !== null) drawFirst(svg, turn.listener.firstSound, x, width, height);
  place.replaceChildren(svg);
}

// A piece is drawn from its hand-over to the next one's, or to its last sound.
function drawPieces(svg, turn, x, y) {
  const pieces = turn.moments.filter((moment) => moment.kind === "piece");
  const lastSound = turn.moments.findLast((moment) => moment.kind === "sound");
  pieces.forEach((piece, index) => {
    const end = pieces[index + 1]?.at ?? Math.max(piece.at, lastSound?.at ?? piece.at);
    const width = Math.max(3, x(end) - x(piece.at) - 2);
    svg.append(make("rect", { class: "piece", x: x(piece.at), y: y + 8, width, height: LANE_HEIGHT - 16, rx: 4 }));
    const room = Math.floor((width - 12) / 7);
    if (room < 3) return;
    const text = piece.text.trim();
    const fitting = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    svg.append(make("text", { class: "piece-text", x: x(piece.at) + 7, y: y + LANE_HEIGHT / 2 + 4.5 }, fitting));
  });
}

function drawTarget(svg, x, height) {
  const place = x(TARGET_MS);
  svg.append(make("line", { class: "target", x1: place, x2: place, y1: 22, y2: height - BOTTOM }));
  svg.append(make("text", { class: "target-text", x: place + 6, y: 31 }, `${TARGET_MS} ms`));
}

// A gap is named where there is room for its name.
function drawGap(svg, gap, x, y) {
  const width = x(gap.to) - x(gap.from);
  svg.append(make("rect", { class: "gap", x: x(gap.from), y: y + 10, width: Math.max(2, width), height: LANE_HEIGHT - 20 }));
  if (width < 60) return;
  const middle = x(gap.from) + width / 2;
  const name = `gap ${Math.round(gap.to - gap.from)} ms`;
  svg.append(make("text", { class: "gap-text", x: middle, y: y + LANE_HEIGHT / 2 + 4.5, "text-anchor": "middle" }, name));
}

function drawFirst(svg, at, x, width, height) {
  const place = x(at);
  svg.append(make("line", { class: "first", x1: place, x2: place, y1: 18, y2: height - BOTTOM }));
  const isRight = place > width - 150;
  svg.append(make("text", {
    class: "first-text", x: place + (isRight ? -6 : 6), y: 14, "text-anchor": isRight ? "end" : "start",
  }, `first sound ${Math.round(at).toLocaleString("en")} ms`));
}

// Pieces that are played without a gap between them are one span.
export function heardSpans(sounds) {
  const spans = [];
  for (const sound of sounds) {
    const before = spans.at(-1);
    if (before && sound.from - before.to < 1.5) before.to = sound.to;
    else spans.push({ from: sound.from, to: sound.to });
  }
  return spans;
}

export function axis(x, last, width, height, top = TOP) {
  const group = make("g", { class: "axis" });
  const most = Math.max(2, Math.floor(width / 90));
  const step = STEPS.find((one) => last / one <= most) ?? 60000;
  for (let ms = 0; ms <= last; ms += step) {
    group.append(make("line", { x1: x(ms), x2: x(ms), y1: top - 4, y2: height - BOTTOM }));
    const label = step >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
    const anchor = ms === 0 ? "start" : x(ms) > width - 24 ? "end" : "middle";
    group.append(make("text", { x: x(ms), y: height - 9, "text-anchor": anchor }, label));
  }
  return group;
}

function describe(turn, sounds) {
  const words = turn.moments.filter((moment) => moment.kind === "word").length;
  const pieces = turn.moments.filter((moment) => moment.kind === "piece").length;
  const gaps = Math.max(0, heardSpans(sounds).length - 1);
  const first = turn.listener.firstSound;
  const began = first === null ? "no sound yet" : `first sound after ${Math.round(first)} ms`;
  return `Timeline of the turn: ${words} words in ${pieces} pieces, ${began}, ${gaps} gaps while it is heard.`;
}

function tick(kind, x, y, inset) {
  return make("line", { class: kind, x1: x, x2: x, y1: y + inset, y2: y + LANE_HEIGHT - inset });
}

function titled(text) {
  return make("title", {}, text);
}

export function make(name, attributes = {}, text = "") {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}
