// Copies entries of the log as JSON, as they came.

import { copy, SAID_MS } from "./copy.js";
import { count } from "./format.js";

const status = document.querySelector("#log-copied");

let timer = 0;

/** Put these entries on the clipboard, and say so on the button for a moment. */
export async function copyEntries(button, entries) {
  const said = `Copied ${count(entries.length)}`;
  if (!(await copy(`${JSON.stringify(entries, null, 2)}\n`, button, said))) return;
  status.textContent = said;
  clearTimeout(timer);
  timer = setTimeout(() => {
    status.textContent = "";
  }, SAID_MS);
}
