// Before the first paint, and therefore no module: the theme that was chosen, or the system's.

document.documentElement.dataset.theme = (() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // A browser that keeps nothing: the system decides.
  }
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
})();
