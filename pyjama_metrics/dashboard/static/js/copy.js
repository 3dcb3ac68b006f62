// Copies a text to the clipboard, and says so on the button that was pressed.

const UNFIT = /[\u0000-\u001f\u007f]/; // a command with a line end would be executed when it is pasted

/** How long a button says that something was copied, ms. */
export const SAID_MS = 2000;

/** Whether a command can be copied without harm. */
export function isCopyable(command) {
  return Boolean(command) && !UNFIT.test(command);
}

/** Copy `text`, and have `button` say so in the words of `said`. Where the browser forbids it, the text is shown beside `button`, selected, for the reader to copy. */
export async function copy(text, button, said = "copied") {
  if (await isCopied(text)) {
    say(button, said);
    return true;
  }
  showSelected(text, button);
  return false;
}

async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no clipboard: the page was not opened as localhost, or its use was refused
  }
}

function say(button, told) {
  const word = button.querySelector("[data-word]") ?? button;
  word.dataset.usual ??= word.textContent;
  word.textContent = told;
  setTimeout(() => {
    word.textContent = word.dataset.usual;
  }, SAID_MS);
}

function showSelected(text, button) {
  const field = document.createElement("input");
  field.className = "copyable";
  field.readOnly = true;
  field.value = text;
  field.setAttribute("aria-label", "Copy this yourself");
  field.addEventListener("blur", () => field.remove());
  button.after(field);
  field.select();
}
