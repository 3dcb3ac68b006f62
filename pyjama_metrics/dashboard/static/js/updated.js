// After the server was restarted: whether it has another version of this page.

import { onData } from "./store.js";

const hint = document.querySelector("#updated");
const folder = new URL("..", import.meta.url).pathname; // /static/<hash>/
let life = null;

document.querySelector("#reload").addEventListener("click", () => location.reload());

onData(({ hub }) => {
  const [newLife] = hub.version.split("-");
  if (life !== null && life !== newLife) look();
  life = newLife;
});

async function look() {
  try {
    const page = await (await fetch("/", { cache: "no-store" })).text();
    hint.hidden = page.includes(folder);
  } catch {
    // It is gone again; the next one is looked at.
  }
}
