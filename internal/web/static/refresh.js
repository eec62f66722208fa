// Draws the status anew every few seconds while it is looked at. The page works without it.
"use strict";

(() => {
  const status = document.getElementById("status");
  const stale = document.getElementById("stale");
  let last = Date.now();

  // What the viewer opened stays open, and what had the focus keeps it.
  function replace(html) {
    const open = new Set([...status.querySelectorAll("details[open]")].map((d) => d.id));
    const focused = status.contains(document.activeElement) ? document.activeElement.closest("details")?.id : "";
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const d of next.querySelectorAll("details")) d.open = open.has(d.id);
    status.replaceChildren(...next.body.childNodes);
    if (focused) document.getElementById(focused)?.querySelector("summary")?.focus({ preventScroll: true });
    const title = status.querySelector("h1")?.textContent;
    if (title) document.title = title + " · llm_prober";
  }

  function selecting() {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && status.contains(selection.anchorNode);
  }

  async function refresh() {
    try {
      const response = await fetch(status.dataset.source, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error("HTTP " + response.status);
      const html = await response.text();
      if (!selecting()) replace(html);
      last = Date.now();
      stale.hidden = true;
    } catch (error) {
      const seconds = Math.round((Date.now() - last) / 1000);
      stale.textContent = "llm_prober cannot be reached (" + error.message + "): this is what it said " + seconds + " s ago.";
      stale.hidden = false;
    }
  }

  async function loop() {
    for (;;) {
      const seconds = Number(status.querySelector("[data-refresh]")?.dataset.refresh) || 5;
      await new Promise((done) => setTimeout(done, seconds * 1000));
      if (!document.hidden) await refresh();
    }
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  loop();
})();
