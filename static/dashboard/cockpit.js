/* The overview's entry: the feed on one side, what draws and what acts on the other. */

import "./actions.js";
import { Charts } from "./charts.js";
import { FleetPicture } from "./fleet.js";
import { Lines } from "./lines.js";
import { Live } from "./live.js";
import { Buttons } from "./personal.js";

const lines = new Lines();
const fleet = new FleetPicture((robot) => live.secondsSince(new Date(robot.silent_since * 1000)));
const charts = new Charts();
const data = JSON.parse(document.getElementById("first-data").textContent);

const onFrame = (view, frame) => {
  if (view === "fleet") {
    const touched = lines.take(frame);
    if (touched === null || touched.size) fleet.show(lines.robots);
    return;
  }
  Object.assign(data, frame.data);
  if (frame.data?.series || frame.data?.limits) charts.show(data.series, data.limits);
  else charts.move();
};

const buttons = new Buttons(data.signatures);
const live = new Live(document.getElementById("live"), { onFrame, onSignatures: (found) => buttons.take(found) });
charts.show(data.series, data.limits);
live.start();

const redraw = () => {
  fleet.draw();
  charts.draw();
};
addEventListener("theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(redraw).observe(document.getElementById("main"));
