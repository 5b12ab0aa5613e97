// Keeps a page up to date. Pages and forms work without this script.
"use strict";
(() => {
  const FETCH_GAP_MS = 340; // at most three fetches a second
  const OTHERS_GAP_MS = 10000; // on the page of one user, when others moved
  const ANNOUNCE_GAP_MS = 5000;
  const RETRY_MS = 5000;
  const KEPT = new Set(["open", "value", "checked"]); // set by the reader
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
      const full = formats["seconds" in time.dataset ? 1 : 0].format(at);
      const text = "ago" in time.dataset ? ago(at) : full;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // a browser may report an offset or no zone at all, which a link cannot ask for
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

  // Morphing: what changed goes into the existing page, so focus, selection and scroll positions stay

  const callbacks = {
    beforeNodeMorphed(old, made) {
      if (old.dataset && "flash" in old.dataset && old.textContent !== made.textContent) old.classList.add("changed");
    },
    beforeAttributeUpdated(name, node) {
      return !(name === "class" && "flash" in node.dataset) && (!KEPT.has(name) || node.nodeName === "PROGRESS");
    },
  };

  function update(made) {
    localise(made);
    const focused = document.activeElement;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = made.getElementById(part.id);
      if (now) Idiomorph.morph(part, now, { callbacks });
    }
    for (const name of ["data-events", "data-version", "data-poll"]) {
      const value = made.body.getAttribute(name);
      if (value === null) document.body.removeAttribute(name);
      else document.body.setAttribute(name, value);
    }
    if (focused && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  // Announcements for screen readers, at a limited rate

  const news = document.getElementById("news");
  let announced = announcement();
  let announceAt = 0;
  let announceTimer = 0;

  function announcement() {
    return [...document.querySelectorAll("[data-announce]")].map((one) => one.dataset.announce).join(". ");
  }

  function announce() {
    clearTimeout(announceTimer);
    const text = announcement();
    if (text === announced) return;
    const wait = announceAt - Date.now();
    if (wait > 0) {
      announceTimer = setTimeout(announce, wait);
      return;
    }
    announced = text;
    announceAt = Date.now() + ANNOUNCE_GAP_MS;
    news.textContent = text;
  }

  // Fetching: one request at a time, with a gap between two

  let fetching = false;
  let wanted = false;
  let refreshAt = 0;
  let refreshTimer = 0;

  function showStatus(state, text) {
    for (const one of document.querySelectorAll("[data-live-sign]")) {
      one.hidden = false;
      one.dataset.state = state;
      const words = one.querySelector("[data-live-text]");
      if (words.textContent !== text) words.textContent = text;
    }
  }

  function hideStatus() {
    for (const one of document.querySelectorAll("[data-live-sign]")) one.hidden = true;
  }

  // pages that lost the server at one moment come back at many
  function spread(waitMs) {
    return waitMs * (1 + Math.random());
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
    const startedAt = Date.now();
    try {
      // the header keeps a page that is merely left open from extending the session
      const headers = { Accept: "text/html", "X-Refresh": "1" };
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.redirected || answer.status === 410) {
        location.reload(); // the session has ended, or the user was removed
        return;
      }
      if (!answer.ok) throw Object.assign(new Error(), { afterS: Number(answer.headers.get("Retry-After")) });
      update(new DOMParser().parseFromString(await answer.text(), "text/html"));
      announce();
      if (document.body.dataset.events || document.body.dataset.poll) showStatus("live", "Live");
      else hideStatus(); // the job has ended
    } catch (error) {
      wait = spread((error.afterS || 0) * 1000 || RETRY_MS);
      wanted = true;
      showStatus("unavailable", "Not up to date; retrying");
    } finally {
      fetching = false;
      // a slow server has many clients; each of them asks less often
      refreshAt = Date.now() + Math.max(FETCH_GAP_MS, 5 * (Date.now() - startedAt));
    }
    follow();
    if (wanted) refreshSoon(wait);
  }

  // Triggers: server-sent events, or a timer

  let source = null;
  let followed = "";
  let othersTimer = 0;
  let pollTimer = 0;

  function follow() {
    const url = document.body.dataset.events;
    if (!url && source) stopListening();
    if (url && !source && !document.hidden) listen(url);
    clearTimeout(pollTimer);
    const everyMs = Number(document.body.dataset.poll);
    if (everyMs && !document.hidden) pollTimer = setTimeout(refreshSoon, everyMs);
  }

  function listen(url) {
    const isBoard = !document.body.dataset.version;
    source = new EventSource(url);
    followed = url;
    source.onopen = () => showStatus("live", "Live");
    source.onerror = () => {
      showStatus("unavailable", "Reconnecting");
      // refused: the browser does not retry by itself
      if (source && source.readyState === EventSource.CLOSED) {
        stopListening();
        refreshSoon(spread(RETRY_MS));
      }
    };
    source.addEventListener("user", (event) => {
      if (String(JSON.parse(event.data).version) !== document.body.dataset.version) refreshSoon();
    });
    source.addEventListener("board", () => {
      if (isBoard) refreshSoon();
      else if (!othersTimer) othersTimer = setTimeout(refreshForOthers, OTHERS_GAP_MS);
    });
    source.addEventListener("reset", () => refreshSoon());
    source.addEventListener("progress", () => refreshSoon());
    source.addEventListener("end", () => {
      stopListening();
      refreshSoon();
    });
  }

  function refreshForOthers() {
    othersTimer = 0;
    refreshSoon();
  }

  function stopListening() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stopListening();
      clearTimeout(pollTimer);
    } else if (followed || document.body.dataset.poll || document.body.dataset.events) {
      refreshSoon(); // listens from the position of that page
    }
  });
  addEventListener("pagehide", stopListening);
  addEventListener("pageshow", (event) => event.persisted && refreshSoon());
  document.addEventListener("animationend", (event) => event.target.classList.remove("changed"));

  const retry = document.querySelector("[data-retry]");
  if (retry) setTimeout(() => location.reload(), spread(Number(retry.dataset.retry) * 1000));

  localise(document);
  offerZone();
  setInterval(() => localise(document), 30000);
  if (document.body.dataset.poll) showStatus("live", "Live");
  follow();
})();
