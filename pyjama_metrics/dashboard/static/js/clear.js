// The Clear button and its question.

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
  try {
    const answer = await fetch("/api/clear", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    if (!answer.ok) throw new Error((await answer.json()).error);
    dialog.close();
  } catch (error) {
    failure.textContent = `Nothing was cleared: ${error.message}`;
    failure.hidden = false;
  } finally {
    yes.disabled = false;
  }
}
