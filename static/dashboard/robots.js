/* The page of all robots: a table of 100 rows at a time, filtered and sorted here, changed in place as frames arrive.
   While somebody points at the table or is in it, rows change but keep their places. */

import "./actions.js";
import { Lines, LIVENESS_LOOKS, ownerOf, pageOf, RANK, where } from "./lines.js";
import { Live } from "./live.js";
import { Buttons } from "./personal.js";
import { age, count, NB, span } from "./words.js";

const ROWS = 100;
const FILTERS = ["kind", "site", "liveness", "owner", "status"];
const find = (selector) => document.querySelector(selector);
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

const LIVENESS_RANK = Object.keys(LIVENESS_LOOKS);
const silentFor = (robot) => (robot.silent_since === null ? null : live.secondsSince(new Date(robot.silent_since * 1000)));
const heard = (robot) => {
  if (robot.liveness === "never") return "never";
  return robot.silent_since === null ? `in time, every ${span(robot.every)}` : `${age(silentFor(robot))} ago`;
};

/* of a column: what is compared, and what its cell holds (a text, or elements) */
const status = (words, look) => make("span", { className: `st ${look}`, textContent: words });
const system = (robot) => {
  const owner = ownerOf(robot);
  return [make("span", { className: `sys ${owner}`, textContent: { new: "N", legacy: "L", unknown: "?" }[owner] }), ` ${owner}`];
};
const COLUMNS = {
  id: { key: (r) => r.id.toLowerCase(), cell: (r) => [make("a", { href: pageOf(r), textContent: r.id })], className: "id mono" },
  kind: { key: (r) => r.kind },
  site: { key: (r) => r.site },
  liveness: { key: (r) => LIVENESS_RANK.indexOf(r.liveness), cell: (r) => [status(r.liveness, LIVENESS_LOOKS[r.liveness])] },
  status: { key: (r) => (r.status === "failed" ? "" : r.status || "~"), cell: (r) => (r.status === "failed" ? [status("failed", "bad")] : [r.status || "–"]) },
  operation: { key: (r) => r.operation || "~" },
  owner: { key: ownerOf, cell: system, className: "nw" },
  bucket: { key: (r) => r.bucket ?? Infinity, cell: (r) => [where(r)], className: "nw" },
  version: { key: (r) => r.version || "~" },
  battery: { key: (r) => r.battery ?? Infinity, cell: (r) => [r.battery === null ? "–" : `${r.battery}${NB}%`], className: "num" },
  heard: { key: (r) => r.silent_since ?? Infinity, cell: (r) => [heard(r)], className: "num" },
};
/* failures first, then by name */
const worstFirst = (r) => RANK.indexOf(r.mark);

class Table {
  constructor() {
    this.lines = new Lines();
    this.page = 0;
    this.order = [];
    this.shown = new Map();
    this.asked = new URLSearchParams(location.search);
    this.body = find("#robots-rows");
    this.listen();
  }

  take(frame) {
    const generation = this.lines.generation;
    const touched = this.lines.take(frame);
    if (frame.summary || frame.whole) this.drawChoices();
    this.drawSummary();
    if (this.isHeld() && this.order.length && generation === this.lines.generation) {
      for (const robot of touched) if (this.shown.has(robot)) drawRow(this.shown.get(robot), robot);
    } else if (touched === null || touched.size) {
      this.sort();
    }
    this.drawAges();
  }

  isHeld() {
    return find("#robots-table").matches(":hover, :focus-within");
  }

  matches() {
    const words = (this.asked.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = FILTERS.filter((name) => this.asked.get(name)).map((name) => [name, this.asked.get(name)]);
    return (robot) =>
      wanted.every(([name, value]) => (name === "owner" ? ownerOf(robot) : robot[name] || "–") === value) &&
      words.every((word) => [robot.id, robot.site, robot.status, robot.operation, robot.version].some((text) => text.toLowerCase().includes(word)));
  }

  sort() {
    const [name, direction] = (this.asked.get("sort") ?? "").split("-");
    const key = COLUMNS[name]?.key ?? worstFirst;
    const turn = direction === "down" ? -1 : 1;
    this.order = this.lines.robots.filter(this.matches()).map((robot) => [key(robot), robot]);
    this.order.sort(([a, one], [b, other]) => (a < b ? -turn : a > b ? turn : one.id < other.id ? -1 : 1));
    this.page = Math.max(0, Math.min(this.page, Math.ceil(this.order.length / ROWS) - 1));
    this.draw();
  }

  draw() {
    const from = this.page * ROWS;
    const some = this.order.slice(from, from + ROWS).map(([, robot]) => robot);
    const shown = new Map();
    some.forEach((robot, place) => {
      const row = this.shown.get(robot) ?? newRow();
      drawRow(row, robot);
      shown.set(robot, row);
      if (this.body.children[place] !== row) this.body.insertBefore(row, this.body.children[place] ?? null);
    });
    while (this.body.children.length > some.length) this.body.lastChild.remove();
    this.shown = shown;
    const all = this.order.length;
    const filtered = all === this.lines.robots.length ? "" : `, filtered from ${count(this.lines.robots.length)}`;
    say("#robots-range", all ? `${count(from + 1)}–${count(from + some.length)} of ${count(all)} robots${filtered}` : this.lines.robots.length ? "No robot matches these filters." : "No robot has been heard or entered yet.");
    find("#robots-before").setAttribute("aria-disabled", String(this.page === 0));
    find("#robots-after").setAttribute("aria-disabled", String(from + ROWS >= all));
    for (const head of document.querySelectorAll("th[data-sort]")) {
      const [name, direction] = (this.asked.get("sort") ?? "").split("-");
      const how = head.dataset.sort !== name ? "none" : direction === "down" ? "descending" : "ascending";
      if (head.getAttribute("aria-sort") !== how) head.setAttribute("aria-sort", how);
    }
  }

  drawAges() {
    for (const [robot, row] of this.shown) if (robot.silent_since !== null) put(row.cells[row.cells.length - 1], [heard(robot)]);
  }

  drawSummary() {
    for (const name of ["liveness", "owner"]) {
      for (const place of document.querySelectorAll(`[data-count="${name}"]`)) {
        const number = this.lines.summary[name]?.[place.dataset.value] ?? 0;
        put(place, [count(number)]);
      }
    }
    say("#robots-total", count(this.lines.robots.length));
  }

  /* the choices of a filter are the values that there are, and the one that is chosen */
  drawChoices() {
    for (const name of FILTERS) {
      const select = find(`#filter-${name}`);
      const chosen = this.asked.get(name) ?? "";
      const value = name === "owner" ? ownerOf : (robot) => robot[name] || "–";
      const values = [...new Set([...this.lines.robots.map(value), ...(chosen ? [chosen] : [])])].sort();
      const known = [...select.options].slice(1).map((option) => option.value);
      if (JSON.stringify(known) !== JSON.stringify(values)) {
        select.replaceChildren(select.options[0], ...values.map((each) => make("option", { value: each, textContent: each })));
      }
      select.value = chosen;
    }
    for (const button of document.querySelectorAll("[data-chooses]")) {
      button.setAttribute("aria-pressed", String(this.asked.get(button.dataset.chooses) === button.dataset.value));
    }
  }

  ask(name, value) {
    if (value) this.asked.set(name, value);
    else this.asked.delete(name);
    const query = this.asked.toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    if (name !== "page") this.page = 0;
    this.sort();
  }

  turn(pages) {
    this.page += pages;
    this.sort();
    find("#robots-table").scrollIntoView({ block: "start" });
  }

  listen() {
    find("#filter-q").value = this.asked.get("q") ?? "";
    find("#filter-q").addEventListener("input", (event) => this.ask("q", event.target.value.trim()));
    for (const name of FILTERS) {
      find(`#filter-${name}`).addEventListener("change", (event) => {
        this.ask(name, event.target.value);
        this.drawChoices();
      });
    }
    find("#filters").addEventListener("submit", (event) => event.preventDefault());
    find("#filters").addEventListener("reset", () => {
      for (const name of ["q", ...FILTERS]) this.asked.delete(name);
      this.ask("q", "");
      this.drawChoices();
    });
    addEventListener("click", (event) => {
      const button = event.target.closest?.("button");
      if (!button) return;
      const column = button.closest("th[data-sort]")?.dataset.sort;
      if (column) this.ask("sort", { [`${column}-up`]: `${column}-down`, [`${column}-down`]: "" }[this.asked.get("sort")] ?? `${column}-up`);
      const { chooses, value } = button.dataset;
      if (chooses) {
        this.ask(chooses, this.asked.get(chooses) === value ? "" : value);
        this.drawChoices();
      }
      if (button.getAttribute("aria-disabled") === "true") return;
      if (button.id === "robots-before") this.turn(-1);
      if (button.id === "robots-after") this.turn(1);
    });
  }
}

const newRow = () => make("tr", {}, ...Object.values(COLUMNS).map(({ className }) => make("td", { className: className ?? "" })));

const drawRow = (row, robot) => {
  Object.entries(COLUMNS).forEach(([name, { cell }], place) => put(row.cells[place], cell ? cell(robot) : [robot[name] || "–"]));
};

/* an element that says the same already stays, so that a focused link keeps its focus */
const put = (element, parts) => {
  const text = parts.map((part) => part.textContent ?? part).join("");
  const look = parts[0]?.className ?? "";
  if (element.textContent === text && (element.firstElementChild?.className ?? "") === look) return;
  element.replaceChildren(...parts);
};

const say = (selector, text) => put(find(selector), [text]);

const table = new Table();
const buttons = new Buttons(JSON.parse(find("#first-data").textContent).signatures);
const live = new Live(find("#live"), {
  onFrame: (view, frame) => view === "fleet" && table.take(frame),
  onSignatures: (found) => buttons.take(found),
});
live.start();
