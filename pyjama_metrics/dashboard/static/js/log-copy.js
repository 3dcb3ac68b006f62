// Copies lines of the log as JSON, as they came.

import { count } from "./format.js";

const SHOWN_MS = 2000;

const status = document.querySelector("#log-copied");

let timer = 0;

/** Put these entries on the clipboard, and say so on the button for a moment. */
export async function copyEntries(button, entries) {
  const words = button.querySelector("[data-word]");
  let said = `Copied ${count(entries.length)}`;
  try {
    await navigator.clipboard.writeText(`${JSON.stringify(entries, null, 2)}\n`);
  } catch {
    said = "Not allowed";
  }
  words.textContent = said;
  status.textContent = said;
  clearTimeout(timer);
  timer = setTimeout(() => {
    words.textContent = "Copy JSON";
    status.textContent = "";
  }, SHOWN_MS);
}
