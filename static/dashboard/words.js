/* Figures as the site writes them: units after a no-break space, `–` for what was never measured. */

export const NB = "\u00a0";

/** An age: to 0.1 s below a minute, then two units. */
export const age = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 59.95) return `${Math.max(0, seconds).toFixed(1)}${NB}s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}${NB}min${NB}${two(whole % 60)}${NB}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}${NB}h${NB}${two(Math.floor((whole % 3600) / 60))}${NB}min`;
  return `${Math.floor(whole / 86400)}${NB}d${NB}${Math.floor((whole % 86400) / 3600)}${NB}h`;
};

/** A limit or an interval, in the largest whole unit: `30 s`, `1 h`. */
export const span = (seconds) => {
  for (const [unit, size] of [["h", 3600], ["min", 60]]) if (seconds >= size && seconds % size === 0) return `${seconds / size}${NB}${unit}`;
  return `${seconds}${NB}s`;
};

export const count = (number) => number.toLocaleString("en");

/** `03:12:44` of an ISO 8601 text or a Date, UTC. */
export const clockTime = (moment) => new Date(moment).toISOString().slice(11, 19);

/** Write `text` wherever the page says `key`. */
export const say = (key, text) => {
  for (const element of document.querySelectorAll(`[data-say="${key}"]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
};
