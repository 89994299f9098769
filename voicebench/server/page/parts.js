// What several parts of the page use: addresses, elements, times in words.

const PROTOCOL = "voicebench.v1";

export function address(path) {
  const found = new URL(path, location.href);
  found.protocol = found.protocol === "https:" ? "wss:" : "ws:";
  return found;
}

// The subprotocols that are offered: a browser can send a key in no other way.
export function protocols(key) {
  return key ? [PROTOCOL, `voicebench.bearer.${base64url(key)}`] : [PROTOCOL];
}

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function duration(ms) {
  if (ms === undefined) return "–";
  return Math.abs(ms) < 9999.5 ? `${Math.round(ms).toLocaleString("en")} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
