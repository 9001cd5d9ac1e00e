/* The feed: one socket that brings a frame a second of each view, and what the page does when it does not.

   live          frames arrive
   polling       the socket is down or silent; the site is asked every 2 s and answers
   stale         of some view nothing newer than 3 s: grey, "as of"
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

/* The distance to the site's clock. The smallest that was ever seen has the least delay in it, so a frame that waited
   on the way shows its age. */
class Clock {
  constructor(at) {
    this.startOver(at);
  }

  /* a new connection may follow a clock that was set back */
  startOver(at) {
    this.distance = now() - Date.parse(at);
  }

  hear(at) {
    this.distance = Math.min(this.distance, now() - Date.parse(at));
  }

  milliseconds(at) {
    return Math.max(0, now() - Date.parse(at) - this.distance);
  }
}

/* One view as this page has it: `seq` of the newest frame, 0 for none over this socket; `at` the time of its figures. */
class Feed {
  constructor(place, at) {
    this.name = place.dataset.view;
    this.poll = place.dataset.poll;
    this.seq = 0;
    this.asked = false;
    this.at = at;
    this.trouble = "";
  }
}

export class Live {
  /* `onFrame(view, frame)` gets each frame with figures, after its regions were changed */
  constructor(place, { onFrame = () => {}, onSignatures = () => {} } = {}) {
    this.place = place;
    this.onFrame = onFrame;
    this.onSignatures = onSignatures;
    this.clock = new Clock(place.dataset.at);
    this.feeds = new Map([...place.querySelectorAll("[data-view]")].map((each) => [each.dataset.view, new Feed(each, place.dataset.at)]));
    this.html = {};
    this.socket = null;
    this.socketIsLive = false;
    this.heardAt = now();
    this.attempt = 0;
    this.retry = 0;
    this.polling = false;
    this.pollDue = 0;
    this.lostAt = null;
    this.signedOut = false;
    this.trouble = "";
  }

  start() {
    this.connect();
    setInterval(() => this.tick(), TICK_MS);
    addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.tick());
    document.querySelector("[data-try-now]")?.addEventListener("click", () => this.tryNow());
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
    const views = new URLSearchParams([...this.feeds.keys()].map((name) => ["view", name]));
    const socket = new WebSocket(`${scheme}//${location.host}${this.place.dataset.socket}?${views}`);
    this.socket = socket;
    for (const feed of this.feeds.values()) Object.assign(feed, { seq: 0, asked: false });
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
    this.heardAt = now();
    if (frame.hello) this.clock.startOver(frame.hello.now);
    const feed = this.feeds.get(frame.view);
    if (!feed) return;
    if (!frame.whole && !frame.trouble && frame.seq !== feed.seq + 1) {
      /* a difference to something that never came: ask for the whole, once */
      if (!feed.asked) this.socket.send(JSON.stringify({ subscribe: feed.name }));
      feed.asked = true;
      return;
    }
    feed.asked = false;
    feed.seq = frame.seq;
    this.socketIsLive = true;
    this.attempt = 0;
    this.take(feed, frame);
  }

  /* --- polling ---------------------------------------------------------------------------------------------- */

  async poll() {
    if (this.polling || now() < this.pollDue) return;
    this.polling = true;
    this.pollDue = now() + POLL_MS;
    try {
      await Promise.all([...this.feeds.values()].map((feed) => this.pollOne(feed)));
    } catch {
      this.lost("");
    } finally {
      this.polling = false;
      this.tick();
    }
  }

  async pollOne(feed) {
    const answer = await fetch(feed.poll, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(POLL_GIVES_UP_MS),
    });
    this.signedOut = answer.status === 401;
    if (answer.ok) {
      const frame = await answer.json();
      /* one that the socket has overtaken must not turn the page back */
      if (!this.socketIsLive) this.take(feed, frame);
    } else if (!this.signedOut) {
      this.lost(`The site answers ${answer.status}.`);
    }
  }

  lost(trouble) {
    this.trouble = trouble;
    this.lostAt ??= new Date();
  }

  /* --- what came -------------------------------------------------------------------------------------------- */

  take(feed, frame) {
    this.lostAt = null;
    this.trouble = "";
    feed.trouble = frame.trouble ?? "";
    if (!frame.trouble) {
      this.signedOut = false;
      feed.at = frame.at;
      this.clock.hear(frame.at);
      this.apply(feed.name, frame);
    }
    this.tick();
  }

  apply(view, frame) {
    for (const [region, text] of Object.entries(frame.html ?? {})) {
      const element = document.getElementById(region);
      if (element && this.html[region] !== text) morph(element, text ?? "");
      this.html[region] = text;
    }
    const data = frame.data ?? {};
    if ("worst" in data) document.documentElement.dataset.worst = data.worst;
    if ("title" in data) document.title = `${data.title} · Lekiwi Heartbeat`;
    if ("signatures" in data) this.onSignatures(data.signatures);
    this.onFrame(view, frame);
  }

  /* --- what the page says of it ----------------------------------------------------------------------------- */

  /* a page is as old as the oldest of what it shows */
  oldest() {
    return [...this.feeds.values()].reduce((one, other) => (Date.parse(other.at) < Date.parse(one.at) ? other : one));
  }

  state(milliseconds) {
    const old = milliseconds > STALE_MS;
    if (this.signedOut) return "signed-out";
    if (old && this.lostAt) return "disconnected";
    if (old) return "stale";
    return this.socketIsLive ? "live" : this.attempt || now() - this.heardAt > STALE_MS ? "polling" : "live";
  }

  tick() {
    if (this.socket && now() - this.heardAt > STALE_MS) this.reconnect();
    const oldest = this.oldest();
    const milliseconds = this.clock.milliseconds(oldest.at);
    if (!this.socketIsLive && (this.attempt || milliseconds > STALE_MS)) this.poll();
    const state = this.state(milliseconds);
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
    shown.textContent = age(milliseconds / 1000);
    shown.closest(".feed").classList.toggle("alarm", state === "disconnected");
    say("at", clockTime(oldest.at));
    say("age", age(milliseconds / 1000));
    say("why", oldest.trouble || this.trouble || "The live feed is silent. Asking again every 2 s.");
    if (this.lostAt) say("lost", clockTime(this.lostAt));
    this.countAges();
  }

  /* `<time data-ago datetime>`: how long ago something was; it goes on counting only while the page is current */
  countAges() {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const text = age(this.clock.milliseconds(element.dateTime) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  /** Seconds since a moment of the site's clock. */
  secondsSince(at) {
    return this.clock.milliseconds(at) / 1000;
  }
}
