// What is loaded when it is needed and is no module of the page: style sheets, the library of the charts, the worker that tabs share.

export const WORKER = new URL("./shared-stream.js", import.meta.url).href;
export const CHARTS = new URL("../vendor/uplot/uPlot.iife.min.js", import.meta.url).href;

let policy = null;

/** `WORKER` or `CHARTS` as the address of a script. The policy lets these two become one, whatever else would be asked for. */
export function scriptUrl(url) {
  if (!window.trustedTypes) return url;
  policy ??= window.trustedTypes.createPolicy("pyjama-scripts", {
    createScriptURL: (asked) => {
      if (asked !== WORKER && asked !== CHARTS) throw new TypeError(`${asked} is no script of this page`);
      return asked;
    },
  });
  return policy.createScriptURL(url);
}

/** Run a script that is no module; what it defines is global. */
export function loadScript(url) {
  const script = document.createElement("script");
  script.src = scriptUrl(url);
  return put(script, url);
}

/** Apply a style sheet, by its address from here. */
export function loadStyles(address) {
  const { href } = new URL(address, import.meta.url);
  return put(Object.assign(document.createElement("link"), { rel: "stylesheet", href }), href);
}

function put(element, what) {
  return new Promise((resolve, reject) => {
    element.addEventListener("load", resolve);
    element.addEventListener("error", () => {
      element.remove();
      reject(new Error(`${what} could not be loaded.`));
    });
    document.head.append(element);
  });
}
