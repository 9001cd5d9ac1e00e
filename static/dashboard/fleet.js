/* The fleet: a canvas with one cell per robot, and the table that says the same. Both draw the same rows. */

import { LOOKS, ownerOf, pageOf, RANK, where } from "./lines.js";
import { age, count } from "./words.js";

const ROWS_IN_TABLE = 100;
const WIDEST_CELL = 34;

const find = (selector, root = document) => root.querySelector(selector);
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

/** A token's colour as the canvas wants it, in the theme that holds now. */
export const colours = (names) => {
  const probe = document.body.appendChild(make("i", { hidden: true }));
  const found = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
};

export class FleetPicture {
  /* `silentFor(robot)`: seconds, of a robot that is not online */
  constructor(silentFor) {
    this.silentFor = silentFor;
    this.robots = [];
    this.order = "bucket";
    this.filter = null;
    this.cursor = -1;
    this.box = find("[data-fleet]");
    this.canvas = find("#fleet-canvas");
    this.table = find("#fleet-table");
    this.listen();
  }

  show(robots) {
    this.robots = robots;
    this.draw();
  }

  /* within a group in bucket order; those without a bucket are on the default side, at the end */
  sorted() {
    const key = { bucket: () => 0, kind: (r) => r.kind, status: (r) => RANK.indexOf(r.mark) }[this.order];
    const bucket = (robot) => robot.bucket ?? Infinity;
    return [...this.robots].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : bucket(a) - bucket(b) || (a.id < b.id ? -1 : 1)));
  }

  heard(robot) {
    if (robot.liveness === "never") return "never heard";
    return robot.silent_since === null ? "heard in time" : `silent for ${age(this.silentFor(robot))}`;
  }

  draw() {
    this.drawPicture();
    this.drawTable();
    for (const chip of document.querySelectorAll("[data-filter]")) {
      chip.setAttribute("aria-pressed", String(chip.dataset.filter === this.filter));
    }
  }

  drawPicture() {
    if (!this.box.clientWidth) return;
    const list = this.sorted();
    const ratio = devicePixelRatio || 1;
    const width = this.box.clientWidth * ratio;
    const tall = (innerWidth < 768 ? 300 : 372) * ratio;
    let pitch = Math.floor(WIDEST_CELL * ratio);
    while (pitch > 2 && Math.ceil(list.length / Math.floor(width / pitch)) * pitch > tall) pitch--;
    const rows = Math.max(1, Math.ceil(list.length / Math.floor(width / pitch)));
    const columns = Math.max(1, Math.ceil(list.length / rows));
    this.seen = { list, rows, step: pitch / ratio };
    this.canvas.hidden = !list.length;
    this.canvas.width = columns * pitch;
    this.canvas.height = rows * pitch;
    this.canvas.style.width = `${(columns * pitch) / ratio}px`;
    this.canvas.style.height = `${(rows * pitch) / ratio}px`;
    const ruler = find(".ruler", this.box);
    if (ruler) ruler.setAttribute("width", list.length ? `${(columns * pitch) / ratio}` : "100%");
    this.drawCells(list, rows, pitch, ratio);
    if (this.cursor >= 0) this.point(this.cursor);
  }

  drawCells(list, rows, pitch, ratio) {
    const ink = colours(["ring-new", "ring-legacy", "edge", "panel", "cell-ok", "warn-mark", "bad", "cell-driven"]);
    const fill = { online: ink["cell-ok"], driven: ink["cell-ok"], late: ink["warn-mark"], silent: ink.bad, failed: ink.bad, never: ink.edge };
    const ring = { new: ink["ring-new"], legacy: ink["ring-legacy"], unknown: ink.edge };
    const g = this.canvas.getContext("2d");
    const gap = Math.max(1, Math.round(pitch / 9));
    const inset = pitch > 11 * ratio ? gap : 0;
    const size = pitch - gap - inset * 2;
    list.forEach((robot, i) => {
      const left = Math.floor(i / rows) * pitch;
      const top = (i % rows) * pitch;
      const odd = !["online", "driven"].includes(robot.mark);
      g.globalAlpha = this.matches(robot) ? 1 : 0.14;
      g.fillStyle = ring[ownerOf(robot)];
      g.fillRect(left, top, pitch - inset, pitch - inset);
      g.fillStyle = inset && odd ? ink.panel : fill[robot.mark];
      g.fillRect(left + inset, top + inset, size, size);
      if (inset && odd) {
        g.fillStyle = g.strokeStyle = fill[robot.mark];
        g.lineWidth = gap * 1.5;
        drawMark(g, robot.mark, left + inset, top + inset, size);
      } else if (["silent", "driven", "never"].includes(robot.mark) && size > 2) {
        const dot = Math.max(1, Math.round(size / 3));
        g.fillStyle = robot.mark === "driven" ? ink["cell-driven"] : ink.panel;
        g.fillRect(left + inset + Math.floor((size - dot) / 2), top + inset + Math.floor((size - dot) / 2), dot, dot);
      }
    });
  }

  matches(robot) {
    return this.filter === null || robot.mark === this.filter;
  }

  point(index) {
    const tip = find(".tip", this.box);
    const { list, rows, step } = this.seen;
    const robot = list[index];
    this.cursor = robot ? index : -1;
    tip.hidden = !robot;
    if (!robot) return;
    tip.replaceChildren(
      make("b", { textContent: robot.id }),
      `${robot.kind}${robot.site ? ` · site ${robot.site}` : ""} · ${robot.mark} · ${robot.status || "–"} · ${this.heard(robot)}`,
      make("br"),
      `owned by ${ownerOf(robot)}, ${where(robot)} · ${robot.operation || "–"}`,
    );
    const left = this.canvas.offsetLeft + Math.floor(index / rows) * step;
    const top = this.canvas.offsetTop + (index % rows) * step;
    const above = top + 12 + tip.offsetHeight > this.box.clientHeight;
    const x = Math.max(0, Math.min(left + 10, this.box.clientWidth - tip.offsetWidth));
    tip.style.transform = `translate(${x}px, ${above ? top - tip.offsetHeight - 8 : top + 12}px)`;
  }

  drawTable() {
    if (this.table.hidden) return;
    const all = this.sorted().filter((robot) => this.matches(robot));
    const some = all.slice(0, ROWS_IN_TABLE);
    const head = make("tr");
    for (const [words, kind] of [["Robot"], ["Kind"], ["Site"], ["Liveness"], ["Status"], ["Reports of its operation"], ["Owner"], ["Where"], ["Last heard", "num"]]) {
      head.append(make("th", { textContent: words, className: kind ?? "" }));
    }
    const body = make("tbody");
    for (const robot of some) body.append(tableRow(robot, this.heard(robot)));
    const rest = all.length > some.length ? `First ${some.length} of ${count(all.length)}; the filters and the arrangement above apply.` : `${count(all.length)} of ${count(this.robots.length)} robots.`;
    this.table.replaceChildren(
      make("table", { className: "cards" }, make("thead", {}, head), body),
      make("p", { className: "hint", textContent: rest }),
    );
  }

  listen() {
    const at = (event) => Math.floor(event.offsetX / this.seen.step) * this.seen.rows + Math.floor(event.offsetY / this.seen.step);
    this.canvas.addEventListener("pointermove", (event) => this.seen && this.point(at(event)));
    for (const name of ["pointerleave", "blur"]) this.canvas.addEventListener(name, () => this.seen && this.point(-1));
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: this.seen?.rows, ArrowLeft: -this.seen?.rows }[event.key];
      if (!step) return;
      event.preventDefault();
      this.point(Math.max(0, Math.min(this.seen.list.length - 1, this.cursor + step)));
    });
    addEventListener("click", (event) => {
      const button = event.target.closest?.("button");
      if (!button) return;
      const { order, filter } = button.dataset;
      if (order) {
        this.order = order;
        for (const other of document.querySelectorAll("[data-order]")) {
          other.setAttribute("aria-pressed", String(other === button));
        }
      }
      if (filter) this.filter = this.filter === filter ? null : filter;
      if ("table" in button.dataset) this.toggleTable(button);
      if (order || filter || "table" in button.dataset) this.draw();
    });
  }

  toggleTable(button) {
    const asTable = this.table.hidden;
    this.table.hidden = !asTable;
    this.canvas.hidden = asTable;
    find("[data-fleet]").hidden = find("[data-fleet-hint]").hidden = asTable;
    button.textContent = asTable ? "As picture" : "As table";
  }
}

const tableRow = (robot, heard) => {
  const owner = ownerOf(robot);
  const letter = { new: "N", legacy: "L", unknown: "?" }[owner];
  return make(
    "tr",
    {},
    make("td", { className: "id mono" }, make("a", { href: pageOf(robot), textContent: robot.id })),
    make("td", { textContent: robot.kind }),
    make("td", { textContent: robot.site || "–" }),
    make("td", {}, make("span", { className: `st ${LOOKS[robot.mark]}`, textContent: robot.mark })),
    make("td", { textContent: robot.status || "–" }),
    make("td", { textContent: robot.operation || "–" }),
    make("td", {}, make("span", { className: `sys ${owner}`, textContent: letter }), ` ${owner}`),
    make("td", { textContent: where(robot) }),
    make("td", { className: "num", textContent: heard }),
  );
};

const drawMark = (g, mark, x, y, size) => {
  const [a, b, c, d] = [x + size * 0.22, x + size * 0.78, y + size * 0.22, y + size * 0.78];
  g.beginPath();
  if (mark === "late") {
    g.moveTo((a + b) / 2, c);
    g.lineTo(b, d);
    g.lineTo(a, d);
    g.fill();
  } else if (["silent", "never"].includes(mark)) {
    g.strokeRect(a, c, b - a, d - c);
  } else if (mark === "failed") {
    g.moveTo(a, c);
    g.lineTo(b, d);
    g.moveTo(b, c);
    g.lineTo(a, d);
    g.stroke();
  }
};
