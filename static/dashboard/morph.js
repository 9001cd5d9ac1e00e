/* Change a region to new HTML in place: what is the same stays the same element, so focus, a selection, an opened
   drawer and a pressed filter survive a second. */

const KEPT = new Set(["open", "aria-pressed"]);

const matches = (old, fresh) =>
  old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");

const copyAttributes = (old, fresh) => {
  for (const { name } of [...old.attributes]) {
    if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
};

const morphChildren = (old, fresh) => {
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const named = wanted.id ? [...old.children].find((child) => child.id === wanted.id) : null;
    if (named && named !== at) {
      old.insertBefore(named, at);
      at = named;
    }
    if (at && matches(at, wanted)) {
      if (at.nodeType === Node.ELEMENT_NODE) {
        copyAttributes(at, wanted);
        morphChildren(at, wanted);
      } else if (at.nodeValue !== wanted.nodeValue) {
        at.nodeValue = wanted.nodeValue;
      }
      at = at.nextSibling;
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

/** Make the inside of `element` equal to `html`. */
export const morph = (element, html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  morphChildren(element, template.content);
};
