// What is not needed for the first look at the page.

import "./activity.js";
import "./tools.js";
import "./log.js";
import "./clear.js";
import "./empty.js";
import "./updated.js";
import "./cost-later.js";
import { onData } from "./store.js";

// From here on all of the page is alive; which version of the data it shows is for those who look at it from outside.
onData(({ hub }) => {
  document.body.dataset.version = hub.version;
});
