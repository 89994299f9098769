// A call as lanes on one clock: the caller, what the agent did, and what is heard of it.

import { axis, make, BOTTOM } from "./waterfall.js";
import { gapsBetween } from "./listener.js";

const LANES = [
  { key: "you", name: "you" },
  { key: "stages", name: "stages" },
  { key: "agent", name: "agent" },
];
const TOP = 8;
const HEIGHT = 40;
const LEFT = 62;
const RIGHT = 14;
const PX_PER_S = 60; // at least; a long call is scrolled

export const STAGES = [
  { key: "end", name: "end of your speech" },
  { key: "endpoint", name: "end of turn decided" },
  { key: "transcript", name: "your words are text" },
  { key: "token", name: "first word of the reply" },
  { key: "audio", name: "first audio" },
  { key: "sound", name: "first sound" },
  { key: "stopped", name: "interrupted: voice stops" },
];

export function drawCall(place, record) {
  if (!place.clientWidth) return;
  const last = record.end;
  const width = Math.max(place.clientWidth, LEFT + RIGHT + (PX_PER_S * last) / 1000);
  const height = TOP + LANES.length * HEIGHT + BOTTOM;
  const x = (ms) => LEFT + (ms / last) * (width - LEFT - RIGHT);
  const lane = (key) => TOP + LANES.findIndex((one) => one.key === key) * HEIGHT;
  const atEnd = place.scrollLeft + place.clientWidth > place.scrollWidth - 40;

  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" });
  svg.append(make("title", {}, describe(record)));
  svg.append(axis(x, last, width, height, TOP));
  for (const { key, name } of LANES) {
    svg.append(make("text", { class: "lane-name", x: 0, y: lane(key) + HEIGHT / 2 + 4 }, name));
  }
  const span = (kind, key, { from, to }) => svg.append(make("rect", {
    class: kind, x: x(from), y: lane(key) + 9, width: Math.max(2, x(to) - x(from)), height: HEIGHT - 18, rx: 3,
  }));
  for (const speech of record.speech) span("spoken", "you", speech);
  for (const turn of record.turns) {
    const { spans } = turn.listener;
    if (turn.end !== null && turn.listener.firstSound > turn.end) {
      span("wait", "stages", { from: turn.end, to: turn.listener.firstSound });
    }
    for (const heard of spans) span("played strong", "agent", heard);
    for (const gap of gapsBetween(spans)) span("gap", "agent", gap);
    for (const { key } of STAGES) {
      const at = key === "sound" ? turn.listener.firstSound : turn[key];
      if (at === null) continue;
      const y = key === "stopped" ? lane("agent") : lane("stages");
      svg.append(make("line", { class: `stage ${key}`, x1: x(at), x2: x(at), y1: y + 5, y2: y + HEIGHT - 5 }));
    }
  }
  place.replaceChildren(svg);
  if (atEnd) place.scrollLeft = place.scrollWidth;
}

function describe(record) {
  const answered = record.turns.filter((turn) => turn.listener.firstSound !== null).length;
  return `Timeline of the call: you spoke ${record.speech.length} times, the agent answered ${answered} times, `
    + `and was interrupted ${record.cleared.length} times.`;
}
