// Keeps a page as the server would make it now. Nothing here is needed to read a page or to send a form.
"use strict";
(() => {
  const GAP_MS = 340; // at most three fetches a second
  const BESIDE_GAP_MS = 10000; // where a page is about one user, and others moved
  const SAY_GAP_MS = 5000;
  const AWAY_MS = 5000;
  const KEPT = new Set(["open", "value", "checked"]); // what the reader set stays
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const short = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
  const formats = [short, { ...short, second: "2-digit" }].map((one) => new Intl.DateTimeFormat("en-GB", one));
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

  // Times

  function ago(at) {
    const seconds = (at - Date.now()) / 1000;
    for (const [unit, size] of UNITS) {
      if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
    }
    return "just now";
  }

  function localise(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (!time.title) time.title = time.textContent;
      const said = formats["seconds" in time.dataset ? 1 : 0].format(at);
      const text = "ago" in time.dataset ? ago(at) : said;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // a browser can also report an offset, or that it knows none: nothing that a link could ask for
  const isNamed = /^[A-Za-z]/.test(zone || "") && zone !== "Etc/Unknown";

  function offerZone() {
    for (const offer of document.querySelectorAll("[data-zone]")) {
      if (!isNamed || offer.dataset.zone === zone) continue;
      const url = new URL(location.href);
      url.searchParams.set("tz", zone);
      url.searchParams.delete("cursor");
      offer.querySelector("a").href = url;
      offer.querySelector("span").textContent = zone;
      offer.hidden = false;
    }
  }

  // What changed, put into the page that is there: focus, selection and scrolled regions stay

  function morph(old, made) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== made.data) old.data = made.data;
      return;
    }
    const before = "flash" in old.dataset ? old.textContent : null;
    const stays = (name) => (name === "class" && before !== null) || (KEPT.has(name) && old.nodeName !== "PROGRESS");
    for (const { name } of [...old.attributes]) {
      if (!made.hasAttribute(name) && !stays(name)) old.removeAttribute(name);
    }
    for (const { name, value } of made.attributes) {
      if (old.getAttribute(name) !== value && !stays(name)) old.setAttribute(name, value);
    }
    morphChildren(old, made);
    if (before !== null && before !== old.textContent) old.classList.add("changed");
  }

  function morphChildren(old, made) {
    const keyed = new Map();
    for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
    let at = old.firstChild;
    for (const wanted of [...made.childNodes]) {
      const key = wanted.dataset && wanted.dataset.key;
      const isSame = at && at.nodeName === wanted.nodeName && !(at.dataset && at.dataset.key);
      const found = key ? keyed.get(key) : isSame ? at : null;
      if (!found) {
        old.insertBefore(document.importNode(wanted, true), at);
        continue;
      }
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      morph(found, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function take(made) {
    localise(made);
    const focused = document.activeElement;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = made.getElementById(part.id);
      if (now) morph(part, now);
    }
    for (const name of ["data-events", "data-version", "data-poll"]) {
      const value = made.body.getAttribute(name);
      if (value === null) document.body.removeAttribute(name);
      else document.body.setAttribute(name, value);
    }
    if (focused && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  // In words, for those who do not see it; not after every solve

  const news = document.getElementById("news");
  let said = announcement();
  let sayAt = 0;
  let sayTimer = 0;

  function announcement() {
    return [...document.querySelectorAll("[data-announce]")].map((one) => one.dataset.announce).join(". ");
  }

  function say() {
    clearTimeout(sayTimer);
    const text = announcement();
    if (text === said) return;
    const wait = sayAt - Date.now();
    if (wait > 0) {
      sayTimer = setTimeout(say, wait);
      return;
    }
    said = text;
    sayAt = Date.now() + SAY_GAP_MS;
    news.textContent = text;
  }

  // The page anew: one fetch at a time, and some time between two

  let fetching = false;
  let wanted = false;
  let refreshAt = 0;
  let refreshTimer = 0;

  function sign(state, text) {
    for (const one of document.querySelectorAll("[data-live-sign]")) {
      one.hidden = false;
      one.dataset.state = state;
      const words = one.querySelector("[data-live-text]");
      if (words.textContent !== text) words.textContent = text;
    }
  }

  function unsign() {
    for (const one of document.querySelectorAll("[data-live-sign]")) one.hidden = true;
  }

  function refreshSoon(waitMs = 0) {
    wanted = true;
    if (fetching || document.hidden) return;
    clearTimeout(refreshTimer);
    refreshTimer = setTimeout(refresh, Math.max(waitMs, refreshAt - Date.now(), 0));
  }

  async function refresh() {
    if (fetching) return;
    fetching = true;
    wanted = false;
    let wait = 0;
    const beganAt = Date.now();
    try {
      // the header: a page that is only left open must not keep a session alive
      const headers = { Accept: "text/html", "X-Refresh": "1" };
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.redirected) {
        location.reload(); // the session has ended
        return;
      }
      if (!answer.ok) throw Object.assign(new Error(), { afterS: Number(answer.headers.get("Retry-After")) });
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say();
      if (document.body.dataset.events || document.body.dataset.poll) sign("live", "Live");
      else unsign(); // a job that has ended
    } catch (error) {
      wait = (error.afterS || 0) * 1000 || AWAY_MS;
      wanted = true;
      sign("away", "Not up to date; trying again");
    } finally {
      fetching = false;
      // a server that takes long has many who ask; each then asks less often
      refreshAt = Date.now() + Math.max(GAP_MS, 5 * (Date.now() - beganAt));
    }
    follow();
    if (wanted) refreshSoon(wait);
  }

  // When: the server says it, or time passes

  let source = null;
  let followed = "";
  let besideTimer = 0;
  let pollTimer = 0;

  function follow() {
    const url = document.body.dataset.events;
    if (!url && source) leave();
    if (url && !source && !document.hidden) listen(url);
    clearTimeout(pollTimer);
    const everyMs = Number(document.body.dataset.poll);
    if (everyMs && !document.hidden) pollTimer = setTimeout(refreshSoon, everyMs);
  }

  function listen(url) {
    const isBoard = !document.body.dataset.version;
    source = new EventSource(url);
    followed = url;
    source.onopen = () => sign("live", "Live");
    source.onerror = () => {
      sign("away", "Connecting again");
      // refused, and not to be tried again by itself
      if (source && source.readyState === EventSource.CLOSED) {
        leave();
        refreshSoon(AWAY_MS);
      }
    };
    source.addEventListener("user", (event) => {
      if (String(JSON.parse(event.data).version) !== document.body.dataset.version) refreshSoon();
    });
    source.addEventListener("board", () => {
      if (isBoard) refreshSoon();
      else if (!besideTimer) besideTimer = setTimeout(beside, BESIDE_GAP_MS);
    });
    source.addEventListener("reset", () => refreshSoon());
    source.addEventListener("progress", () => refreshSoon());
    source.addEventListener("end", () => {
      leave();
      refreshSoon();
    });
  }

  function beside() {
    besideTimer = 0;
    refreshSoon();
  }

  function leave() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      leave();
      clearTimeout(pollTimer);
    } else if (followed || document.body.dataset.poll || document.body.dataset.events) {
      refreshSoon(); // then it listens from where that page was made
    }
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && refreshSoon());
  document.addEventListener("animationend", (event) => event.target.classList.remove("changed"));

  const retry = document.querySelector("[data-retry]");
  if (retry) setTimeout(() => location.reload(), Number(retry.dataset.retry) * 1000);

  localise(document);
  offerZone();
  setInterval(() => localise(document), 30000);
  if (document.body.dataset.poll) sign("live", "Live");
  follow();
})();
