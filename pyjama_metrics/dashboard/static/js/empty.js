// What a newcomer is told to type can be copied.

import { copy } from "./copy.js";

document.querySelector("#nothing").addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button.previousElementSibling.textContent, button);
});
