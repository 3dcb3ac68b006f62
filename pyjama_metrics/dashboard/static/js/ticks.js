// The clock of the page: what changes with time alone is written anew each second, while somebody looks.

const SECOND = 1000;

const listeners = [];
let timer = 0;

/** Call `listener(now)`, ms, once a second while the page is visible, and at once when it becomes so. */
export function onTick(listener) {
  listeners.push(listener);
}

function look() {
  clearInterval(timer);
  if (document.hidden) return;
  tick();
  timer = setInterval(tick, SECOND);
}

function tick() {
  const now = Date.now();
  for (const listener of listeners) listener(now);
}

document.addEventListener("visibilitychange", look);
look();
