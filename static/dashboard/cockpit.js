/* The overview's entry: the feed on one side, what draws and what acts on the other. */

import { toast } from "./actions.js";
import { Charts } from "./charts.js";
import { FleetPicture } from "./fleet.js";
import { Live } from "./live.js";

const place = document.getElementById("live");
const fleet = new FleetPicture();
const charts = new Charts();

/* Buttons belong to a person, so they are asked for again when what they depend on has changed. */
let known = null;
const onSignatures = (signatures) => {
  for (const region of document.querySelectorAll("[data-personal]")) {
    const name = region.dataset.personal;
    if (known && JSON.stringify(known[name]) !== JSON.stringify(signatures[name])) window.htmx?.trigger(region, "refresh");
  }
  known = signatures;
};

const onData = (data, changed) => {
  if (changed.some((name) => name === "robots" || name === "marks")) fleet.show(data.robots, data.marks);
  if (changed.some((name) => name === "series" || name === "limits")) charts.show(data.series, data.limits);
  else charts.move();
};

const live = new Live(place, { onData, onSignatures });
live.start(JSON.parse(document.getElementById("first-data").textContent));

document.querySelector("[data-try-now]").addEventListener("click", () => {
  toast("Trying to connect…");
  live.tryNow();
});
const redraw = () => {
  fleet.draw();
  charts.draw();
};
addEventListener("theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(redraw).observe(document.getElementById("main"));
