/* The feed: a socket that brings a frame a second, and what the page does when it does not.

   live          frames arrive
   polling       the socket is down or silent; the site is asked every 2 s and answers
   stale         nothing newer than 3 s: grey, "as of"
   disconnected  the site does not answer either */

import { morph } from "./morph.js";
import { age, clockTime, say } from "./words.js";

const STALE_MS = 3000;
const POLL_MS = 2000;
const POLL_GIVES_UP_MS = 4000;
const TICK_MS = 200;
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15000];

/* not Date.now(): a clock that is set must not make figures young or old */
const now = () => performance.timeOrigin + performance.now();

/* Ages are told from the site's own times: the smallest distance ever seen between the two clocks is the one with the
   least delay in it, so a frame that waited on the way shows its age. */
class Age {
  constructor(at) {
    this.at = at;
    this.distance = now() - Date.parse(at);
  }

  take(at) {
    this.at = at;
    this.distance = Math.min(this.distance, now() - Date.parse(at));
  }

  /* a new connection may follow a clock that was set back */
  startOver(at) {
    this.at = at;
    this.distance = now() - Date.parse(at);
  }

  milliseconds() {
    return Math.max(0, now() - Date.parse(this.at) - this.distance);
  }
}

export class Live {
  constructor(place, { onData, onSignatures }) {
    this.place = place;
    this.onData = onData;
    this.onSignatures = onSignatures;
    this.age = new Age(place.dataset.at);
    this.html = {};
    this.data = {};
    this.socket = null;
    this.socketIsLive = false;
    this.heardAt = now();
    this.seq = 0;
    this.attempt = 0;
    this.retry = 0;
    this.polling = false;
    this.pollDue = 0;
    this.lostAt = null;
    this.signedOut = false;
    this.trouble = "";
  }

  start(data) {
    this.apply({ html: {}, data });
    this.connect();
    setInterval(() => this.tick(), TICK_MS);
    addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.tick());
    this.tick();
  }

  tryNow() {
    this.attempt = 0;
    this.pollDue = 0;
    if (!this.socketIsLive) this.connect();
    this.tick();
  }

  /* --- the socket ------------------------------------------------------------------------------------------- */

  connect() {
    clearTimeout(this.retry);
    this.drop();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.place.dataset.socket}`);
    this.socket = socket;
    this.seq = 0;
    this.heardAt = now();
    socket.addEventListener("message", (event) => socket === this.socket && this.hear(event.data));
    /* after every close, a normal one too: nobody closes this page's socket for good */
    socket.addEventListener("close", () => socket === this.socket && this.reconnect());
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    this.socketIsLive = false;
    socket?.close();
  }

  reconnect() {
    this.drop();
    const wait = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
    this.tick();
  }

  hear(text) {
    const frame = JSON.parse(text);
    if (this.seq && frame.seq > this.seq + 1 && !frame.whole) {
      /* a difference to something that never came */
      this.reconnect();
      return;
    }
    const isFirst = !this.seq;
    this.seq = frame.seq;
    this.heardAt = now();
    this.socketIsLive = true;
    this.attempt = 0;
    this.take(frame, isFirst);
  }

  /* --- polling ---------------------------------------------------------------------------------------------- */

  async poll() {
    if (this.polling || now() < this.pollDue) return;
    this.polling = true;
    this.pollDue = now() + POLL_MS;
    try {
      const answer = await fetch(this.place.dataset.poll, {
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(POLL_GIVES_UP_MS),
      });
      this.signedOut = answer.status === 401;
      if (answer.ok) {
        const frame = await answer.json();
        /* one that the socket has overtaken must not turn the page back */
        if (!this.socketIsLive) this.take(frame, false);
      }
      if (!answer.ok && !this.signedOut) this.lost(`The site answers ${answer.status}.`);
    } catch {
      this.lost("");
    } finally {
      this.polling = false;
      this.tick();
    }
  }

  lost(trouble) {
    this.trouble = trouble;
    this.lostAt ??= new Date();
  }

  /* --- what came -------------------------------------------------------------------------------------------- */

  take(frame, isFirst) {
    if (frame.trouble) {
      this.trouble = frame.trouble;
      this.lostAt = null;
      this.tick();
      return;
    }
    this.lostAt = null;
    this.trouble = "";
    this.signedOut = false;
    if (isFirst) this.age.startOver(frame.at);
    else this.age.take(frame.at);
    this.apply(frame);
    this.tick();
  }

  apply({ html, data }) {
    for (const [region, text] of Object.entries(html)) {
      const element = document.getElementById(region);
      if (element && this.html[region] !== text) morph(element, text);
      this.html[region] = text;
    }
    Object.assign(this.data, data);
    if ("worst" in data) document.documentElement.dataset.worst = data.worst;
    if ("title" in data) document.title = `${data.title} · Lekiwi Heartbeat`;
    if ("signatures" in data) this.onSignatures(data.signatures);
    this.onData(this.data, Object.keys(data));
  }

  /* --- what the page says of it ----------------------------------------------------------------------------- */

  state() {
    const old = this.age.milliseconds() > STALE_MS;
    if (this.signedOut) return "signed-out";
    if (old && this.lostAt) return "disconnected";
    if (old) return "stale";
    return this.socketIsLive ? "live" : this.attempt || now() - this.heardAt > STALE_MS ? "polling" : "live";
  }

  tick() {
    if (this.socket && now() - this.heardAt > STALE_MS) this.reconnect();
    if (!this.socketIsLive && (this.attempt || this.age.milliseconds() > STALE_MS)) this.poll();
    const state = this.state();
    const seconds = this.age.milliseconds() / 1000;
    document.documentElement.dataset.feed = { "signed-out": "stale", polling: "live" }[state] ?? state;
    document.documentElement.dataset.feedState = state;
    for (const banner of ["stale", "disconnected", "polling", "signed-out"]) {
      document.getElementById(`banner-${banner}`).hidden = banner !== state;
    }
    const [word, look] = {
      live: ["Feed live", "ok"],
      polling: ["Polling", "warn"],
      stale: ["Feed stale", "warn"],
      disconnected: ["No feed", "bad"],
      "signed-out": ["Signed out", "warn"],
    }[state];
    const place = document.getElementById("feed-word");
    if (place.textContent !== word) place.textContent = word;
    const shown = document.getElementById("feed-age");
    shown.className = `st ${look}`;
    shown.textContent = age(seconds);
    shown.closest(".feed").classList.toggle("alarm", state === "disconnected");
    say("at", clockTime(this.age.at));
    say("age", age(seconds));
    say("why", this.trouble || "The live feed is silent. Asking again every 2 s.");
    if (this.lostAt) say("lost", clockTime(this.lostAt));
  }
}
