/* Buttons belong to a person, so they are asked for again when what they depend on has changed. */

export class Buttons {
  constructor(signatures) {
    this.known = signatures;
  }

  take(signatures) {
    for (const region of document.querySelectorAll("[data-personal]")) {
      const name = region.dataset.personal;
      if (name in signatures && JSON.stringify(this.known[name]) !== JSON.stringify(signatures[name])) {
        window.htmx?.trigger(region, "refresh");
      }
    }
    Object.assign(this.known, signatures);
  }
}
