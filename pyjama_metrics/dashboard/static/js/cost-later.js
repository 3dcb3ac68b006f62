// The panel of the cost is loaded when somebody comes to it.

const panel = document.querySelector(".panel.cost");

const observer = new IntersectionObserver(async (entries) => {
  if (!entries.at(-1).isIntersecting) return;
  try {
    await import("./cost.js");
    observer.disconnect();
  } catch {
    observer.unobserve(panel); // the server is gone: the panel is looked at anew in a while
    setTimeout(() => observer.observe(panel), AGAIN);
  }
});

const AGAIN = 5000; // ms

observer.observe(panel);
