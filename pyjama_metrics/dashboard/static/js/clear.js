// The Clear button and its question. Enter and Escape keep everything: the button that has the focus at first is Keep.

const dialog = document.querySelector("#clear-dialog");
const yes = document.querySelector("#clear-yes");
const failure = document.querySelector("#clear-failure");

document.querySelector("#clear").addEventListener("click", () => {
  failure.hidden = true;
  dialog.showModal();
});
document.querySelector("#clear-no").addEventListener("click", () => dialog.close());
yes.addEventListener("click", clear);

async function clear() {
  yes.disabled = true;
  failure.hidden = true;
  const refused = await refusal();
  yes.disabled = false;
  if (refused === null) {
    dialog.close();
    return;
  }
  failure.textContent = refused;
  failure.hidden = false;
}

/** Ask the server to clear; why it did not, in a sentence, or null. */
async function refusal() {
  try {
    const answer = await fetch("/api/clear", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    return answer.ok ? null : `Nothing was cleared: ${(await answer.json()).error}`;
  } catch {
    return "The server did not answer. See whether the figures are still there before you try again.";
  }
}
