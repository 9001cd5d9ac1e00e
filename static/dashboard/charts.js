/* Two small line charts: new solid, legacy dashed, labelled at their ends, the gate's limit drawn.
   A line ends where its data ends and has a hole where nothing was measured. */

import { colours } from "./fleet.js";

const WIDTH_MS = 15 * 60 * 1000;
/* a longer silence between two samples is a hole, not a line */
const HOLE_MS = 30 * 1000;
const CHARTS = { error_percent: { decimals: 2 }, p99_ms: { decimals: 0 } };

/** A round number at or above `value`: 1, 2, 2.5 or 5 times a power of ten. */
const roundUp = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.6, 2, 2.5, 4, 5, 10].find((step) => step * power >= value * 0.999999);
};

const plain = (value) => String(Number(value.toPrecision(6)));

export class Charts {
  constructor() {
    this.series = [];
    this.limits = null;
    this.drawnAt = 0;
  }

  show(series, limits) {
    this.series = series;
    this.limits = limits;
    this.draw();
  }

  /* no new sample: time goes on all the same, and the lines with it */
  move() {
    if (performance.now() - this.drawnAt > 5000) this.draw();
  }

  draw() {
    if (!this.limits) return;
    this.drawnAt = performance.now();
    for (const canvas of document.querySelectorAll("[data-chart]")) this.drawOne(canvas, canvas.dataset.chart);
  }

  drawOne(canvas, what) {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const limit = this.limits[what];
    const { decimals } = CHARTS[what];
    const until = Math.max(Date.now(), ...this.series.map((point) => Date.parse(point.at)));
    const values = this.series.flatMap((point) => [point[`new_${what}`], point[`legacy_${what}`]]).filter((v) => v !== null);
    const top = roundUp(Math.max(limit, ...values) * 1.05);
    const left = 34;
    const right = width - 84;
    const base = height - 18;
    const x = (at) => right - ((right - left) * (until - at)) / WIDTH_MS;
    const y = (value) => 6 + (base - 6) * (1 - value / top);
    const ink = colours(["line", "ink-2", "ink-3", "new", "legacy"]);
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio);
    g.textBaseline = "middle";
    const font = `12px ${getComputedStyle(canvas).fontFamily}`;
    const rule = (value, colour, dash) => {
      g.strokeStyle = colour;
      g.lineWidth = 1;
      g.setLineDash(dash);
      g.beginPath();
      g.moveTo(left, y(value));
      g.lineTo(right, y(value));
      g.stroke();
    };
    const put = (words, px, py, colour, align) => {
      g.fillStyle = colour;
      g.textAlign = align;
      g.fillText(words, px, py);
    };
    g.font = font;
    for (const tick of [0, top / 2, top]) {
      rule(tick, ink.line, []);
      put(plain(tick), left - 6, y(tick), ink["ink-3"], "right");
    }
    rule(limit, ink["ink-2"], [2, 3]);
    put("−15 min", left, height - 6, ink["ink-3"], "left");
    put("now", right, height - 6, ink["ink-3"], "right");
    const labels = [{ words: `gate ${plain(limit)}`, y: y(limit), colour: ink["ink-2"], x: right }];
    g.font = `600 ${font}`;
    for (const system of ["legacy", "new"]) {
      const last = this.drawLine(g, `${system}_${what}`, x, y, ink[system], system === "legacy" ? [5, 3] : [], left);
      if (last) labels.push({ words: `${system} ${last.value.toFixed(decimals)}`, y: last.y, colour: ink[system], x: last.x });
    }
    /* labels that would lie on each other give way downwards, then upwards */
    labels.sort((a, b) => a.y - b.y);
    for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 14);
    for (let i = labels.length - 1, floor = base; i >= 0; i--, floor -= 14) labels[i].y = Math.min(labels[i].y, floor);
    for (const label of labels) put(label.words, right + 8, label.y, label.colour, "left");
  }

  /* returns where the line ends, or null where there is none */
  drawLine(g, key, x, y, colour, dash, left) {
    let before = null;
    let last = null;
    g.strokeStyle = g.fillStyle = colour;
    g.lineWidth = 1.75;
    g.setLineDash(dash);
    g.beginPath();
    for (const point of this.series) {
      const at = Date.parse(point.at);
      const value = point[key];
      if (value === null || x(at) < left) {
        before = null;
        continue;
      }
      if (before === null || at - before > HOLE_MS) g.moveTo(x(at), y(value));
      else g.lineTo(x(at), y(value));
      before = at;
      last = { x: x(at), y: y(value), value };
    }
    g.stroke();
    if (last) {
      g.beginPath();
      g.arc(last.x, last.y, 3, 0, 7);
      g.fill();
    }
    return last;
  }
}
