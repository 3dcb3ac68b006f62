// The switch of the theme: the system's, light or dark. theme-first.js has applied what was chosen last time.

import { keepText, keptText } from "./kept.js";

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const inputs = [...document.querySelectorAll("input[name=theme]")];

let theme = stored();

for (const input of inputs) input.addEventListener("change", () => choose(input.value));
system.addEventListener("change", apply);
window.addEventListener("storage", ({ key }) => {
  if (key !== KEY) return;
  theme = stored(); // chosen in another tab
  apply();
});
apply();

function choose(chosen) {
  theme = chosen;
  keepText("localStorage", KEY, theme);
  apply();
}

function apply() {
  const shown = theme === "system" ? (system.matches ? "dark" : "light") : theme;
  document.documentElement.dataset.theme = shown;
  for (const input of inputs) input.checked = input.value === theme;
}

function stored() {
  const kept = keptText("localStorage", KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}
