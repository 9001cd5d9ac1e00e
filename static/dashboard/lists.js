/* Pages of lists: the bar is live, the list asks again by itself while nobody types or chooses in it. */

import "./actions.js";
import { Live } from "./live.js";
import { Buttons } from "./personal.js";

const REFRESH_MS = 4000;

const isInUse = (region) =>
  region.contains(document.activeElement?.closest("input, textarea, select")) || region.querySelector("[popover]:popover-open, details[open]");

setInterval(() => {
  for (const region of document.querySelectorAll("[data-refresh]")) {
    if (!document.hidden && !isInUse(region)) window.htmx?.trigger(region, "refresh");
  }
}, REFRESH_MS);

const buttons = new Buttons(JSON.parse(document.getElementById("first-data").textContent).signatures);
new Live(document.getElementById("live"), { onSignatures: (found) => buttons.take(found) }).start();

/* What was done needs its form no longer; what was typed into it is sent. */
document.addEventListener("cockpit:done", () => {
  for (const open of document.querySelectorAll("[popover]:popover-open")) {
    open.querySelector("form")?.reset();
    open.hidePopover();
  }
});
