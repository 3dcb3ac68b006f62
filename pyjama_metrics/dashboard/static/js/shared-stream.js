// A worker that all tabs of a browser share: it holds one stream for them, since a browser opens but six connections to one
// server. It hands on the texts of the events and understands nothing of them.

import { Stream } from "./stream.js";

const ports = new Set();
const stream = new Stream(tellAll);
let state = null;

self.addEventListener("connect", ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = ({ data }) => hear(port, data);
});

/** A tab says `{after: version}` when it has a document, `{retry: true}` when it is looked at, `{bye: true}` when it goes. */
function hear(port, { after, retry, bye }) {
  if (bye) leave(port);
  if (retry) stream.retry();
  if (after) join(port, after);
}

function join(port, after) {
  ports.add(port);
  if (stream.isOpen) port.postMessage({ version: stream.version, state });
  else stream.open(after);
}

function leave(port) {
  ports.delete(port);
  if (ports.size === 0) stream.close();
}

function tellAll(message) {
  state = message.state ?? state;
  for (const port of ports) port.postMessage(message);
}
