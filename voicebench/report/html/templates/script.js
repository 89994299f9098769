"use strict";
for (const view of document.querySelectorAll(".view")) {
  let next = view;
  while (!next.querySelector(".fall")) next = next.nextElementSibling;
  const table = next.querySelector(".fall");
  view.addEventListener("click", (event) => {
    const wanted = event.target.dataset;
    if (wanted.order) arrange(table, wanted.order);
    else if (wanted.view) zoom(table, wanted.view);
    else return;
    for (const button of event.target.parentElement.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.target));
    }
  });
  for (const audio of table.querySelectorAll("audio")) {
    audio.addEventListener("play", () => view.querySelector('[data-view="whole"]').click());
  }
}
// The order of the turns; those outside the statistics stay on top.
function arrange(table, order) {
  const place = (row) => {
    if ("apart" in row.dataset) return -1e12 + Number(row.dataset.run);
    if (order === "run") return Number(row.dataset.run);
    return row.dataset.slow === "" ? -1e9 : -Number(row.dataset.slow);
  };
  const rows = [...table.tBodies[0].rows].sort((one, other) => place(one) - place(other));
  table.tBodies[0].append(...rows);
}
// The start of the turns alone, or the whole of them.
function zoom(table, part) {
  const whole = part === "whole";
  table.classList.toggle("all", whole);
  for (const picture of table.querySelectorAll("svg.turn")) {
    const height = picture.viewBox.baseVal.height;
    const width = whole ? table.dataset.span : table.dataset.start;
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  }
}
// The playhead stands where the listener of the waterfall would hear what is being played.
for (const audio of document.querySelectorAll("audio")) {
  const heard = JSON.parse(audio.dataset.heard);
  const {end, span} = audio.closest("[data-end]").dataset;
  const line = audio.closest("td, figure").querySelector(".playhead");
  const height = line.ownerSVGElement.viewBox.baseVal.height;
  const show = () => {
    let last = heard[0];
    for (const entry of heard) if (entry[0] <= audio.currentTime) last = entry;
    const at = last[1] + 1000 * (audio.currentTime - last[0]);
    line.setAttribute("d", `M${Math.min(at / end, 1) * span} 0v${height}`);
    line.classList.add("on");
    if (!audio.paused) requestAnimationFrame(show);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    show();
  });
  audio.addEventListener("seeked", show);
  audio.addEventListener("ended", () => line.classList.remove("on"));
}
