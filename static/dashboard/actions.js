/* What a person does: dialogs, the held button, toasts, theme. Forms are sent by htmx. */

import "./presence.js";
import { age, say } from "./words.js";

const find = (selector, root = document) => root.querySelector(selector);
const root = document.documentElement;

export const toast = (sentence) => {
  const place = find(".toasts");
  if (!place) return;
  const note = Object.assign(document.createElement("div"), { className: "toast", textContent: sentence });
  place.append(note);
  setTimeout(() => note.remove(), 8000);
};

/* --- the rollback dialog ------------------------------------------------------------------------------------ */

const dialog = () => find("dialog#rollback");

const openRollback = () => {
  const opener = find("[data-open=rollback]");
  if (!opener || dialog().open) return;
  dialog().showModal();
};

const hasReason = () => {
  const why = find("#rollback-why");
  const given = why.value.trim().length > 0;
  find("#rollback-problem").hidden = given;
  if (!given) find("#rollback-problem").textContent = "Say why, in a few words.";
  why.setAttribute("aria-invalid", String(!given));
  if (!given) why.focus();
  return given;
};

let rolling = 0;

const startRolling = (form) => {
  const from = performance.now();
  const where = new FormData(form).get("target") === "emergency" ? "emergency, to 0 %" : "to the previous phase";
  say("rolling", `${where}: asked, waiting for the proxies`);
  find("#banner-rolling").hidden = false;
  clearInterval(rolling);
  rolling = setInterval(() => say("rolling-age", age((performance.now() - from) / 1000)), 100);
};

const stopRolling = () => {
  clearInterval(rolling);
  find("#banner-rolling").hidden = true;
};

/* An emergency is sent by holding the button, never by Enter in a field. */
let held = false;
let holding = 0;

const measure = (percent) => find(".hold rect")?.setAttribute("width", `${percent}%`);

const letGo = () => {
  clearInterval(holding);
  holding = 0;
  measure(0);
};

const press = (button) => {
  if (holding || !hasReason()) return;
  const needed = parseFloat(getComputedStyle(root).getPropertyValue("--hold"));
  const from = performance.now();
  holding = setInterval(() => {
    const percent = ((performance.now() - from) / needed) * 100;
    measure(Math.min(percent, 100));
    if (percent < 100) return;
    letGo();
    held = true;
    button.form.requestSubmit();
    held = false;
  }, 40);
};

const holdButton = (event) => event.target.closest?.(".hold");

addEventListener("pointerdown", (event) => {
  if (holdButton(event) && event.button === 0) press(holdButton(event));
});
for (const name of ["pointerup", "pointercancel", "blur", "contextmenu"]) addEventListener(name, letGo);
addEventListener("pointerout", (event) => holdButton(event) && letGo());
addEventListener("keydown", (event) => {
  const button = holdButton(event);
  if (button && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    if (!event.repeat) press(button);
  }
  if (event.code === "KeyR" && event.altKey && event.shiftKey) openRollback();
});
addEventListener("keyup", letGo);
addEventListener("focusout", letGo);

addEventListener(
  "submit",
  (event) => {
    if (event.target.id !== "rollback-form") return;
    const emergency = new FormData(event.target).get("target") === "emergency";
    if ((emergency && !held) || !hasReason()) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  },
  true,
);

/* --- htmx --------------------------------------------------------------------------------------------------- */

const sentBy = (event) => event.detail?.ctx?.sourceElement ?? event.target;

document.addEventListener("htmx:before:request", (event) => {
  if (sentBy(event).id === "rollback-form") startRolling(sentBy(event));
});
document.addEventListener("htmx:finally:request", (event) => {
  if (sentBy(event).id === "rollback-form") stopRolling();
});
document.addEventListener("htmx:response:error", (event) => {
  const status = event.detail.ctx.response.status;
  if (status === 403) toast("Not done: your login may not do this. Nothing has changed.");
  else if (status !== 422 && status !== 503) toast(`Not done: the site answered ${status}.`);
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail?.ctx?.request?.method !== "GET") {
    toast("No answer from the site: whether it was done is unknown. Look at the split before you repeat it.");
  }
});
document.addEventListener("cockpit:done", (event) => {
  toast(event.detail.sentence);
  if (event.detail.region === "rollback") {
    dialog()?.close();
    const why = find("#rollback-why");
    if (why) why.value = "";
  }
  if (event.detail.region === "vote") {
    const comment = find("#vote-comment");
    if (comment) comment.value = "";
  }
});

/* --- clicks ------------------------------------------------------------------------------------------------- */

addEventListener("click", (event) => {
  const button = event.target.closest?.("button, a");
  if (!button) return;
  const data = button.dataset;
  if (data.open === "rollback") openRollback();
  if ("close" in data) dialog()?.close();
  if (data.why) toast(data.why);
  if ("tryNow" in data) toast("Trying to connect…");
  if (data.copyFrom) {
    navigator.clipboard?.writeText(find(data.copyFrom).textContent).then(
      () => toast("Copied."),
      () => toast("The browser does not let this page copy: select the command instead."),
    );
  }
  if ("themeSwitch" in data) {
    const dark = getComputedStyle(root).colorScheme === "dark" || (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      /* storage is off: it holds for this page */
    }
    dispatchEvent(new Event("theme"));
  }
});
