// Which presses of a key are meant for the page.

/** Whether a key is pressed by itself: with Ctrl, Alt or Meta it is the browser's. */
export function isPlainKey(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** Whether a key that is pressed anywhere is a command, and no letter of something that the reader writes. */
export function isCommand(event, key) {
  return event.key === key && isPlainKey(event) && !event.target.closest?.("input, textarea, select, [contenteditable], dialog");
}
