/* The robots' lines of the view `fleet`: columns as they travel, objects as the page uses them. */

export class Lines {
  constructor() {
    this.robots = [];
    this.summary = {};
    /* robots that came or went; whoever sorts must sort again */
    this.generation = 0;
  }

  /** Take a frame; returns the set of robots that it touched, or null for "all of them". */
  take(frame) {
    Object.assign(this.summary, frame.summary);
    if (frame.whole) {
      this.robots = rows(frame.columns);
      this.generation += 1;
      return null;
    }
    const touched = new Set();
    for (const [name, groups] of Object.entries(frame.changed ?? {})) {
      for (const [value, distances] of groups) {
        let place = 0;
        for (const distance of distances) {
          place += distance;
          this.robots[place][name] = value;
          touched.add(this.robots[place]);
        }
      }
    }
    if (frame.added) {
      this.robots.push(...rows(frame.added));
      this.generation += 1;
      return null;
    }
    return touched;
  }
}

const rows = (columns) => {
  const names = Object.keys(columns);
  return columns.id.map((_, place) => Object.fromEntries(names.map((name) => [name, columns[name][place]])));
};

/* a mark's class in the design; what is worst comes first in a list */
export const LOOKS = { silent: "bad silent", failed: "bad", late: "warn", never: "none", driven: "driven", online: "ok" };
export const RANK = Object.keys(LOOKS);
export const LIVENESS_LOOKS = { offline: "bad silent", late: "warn", never: "none", online: "ok" };

export const ownerOf = (robot) => robot.owner || "unknown";
export const where = (robot) => (robot.bucket === null ? "no bucket: default side" : `bucket ${robot.bucket}`);
export const pageOf = (robot) => `/robots/${encodeURIComponent(robot.id)}/`;
