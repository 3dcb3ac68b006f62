// The switch of the theme: the system's, light or dark. theme-first.js has applied what was chosen last time.

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
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing: it lasts until the page is left.
  }
  apply();
}

function apply() {
  const shown = theme === "system" ? (system.matches ? "dark" : "light") : theme;
  document.documentElement.dataset.theme = shown;
  for (const input of inputs) input.checked = input.value === theme;
}

function stored() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}
