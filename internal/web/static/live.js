// Swaps in what changes while it is looked at, and copies texts. The pages work without it.
"use strict";

(() => {
  const main = document.querySelector("main.live");
  const stale = document.getElementById("stale");

  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch { // not allowed, or no secure page: the text is selected, to be copied by hand
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  if (!main) return;
  let last = Date.now(), source = null, failures = 0, timer = 0;

  // A click is lost if what was pressed is gone by the time it is let go.
  let pressed = false;
  addEventListener("pointerdown", () => { pressed = true; }, true);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { pressed = false; }, true);

  // Whoever reads, selects, presses or points at something is left in peace.
  function busy() {
    const selection = document.getSelection();
    return pressed || (selection && !selection.isCollapsed && main.contains(selection.anchorNode)) ||
      main.querySelector(".tip") || document.activeElement?.closest?.(".plot, pre");
  }

  // What the viewer opened stays open, and what had the focus keeps it.
  function replace(html) {
    last = Date.now();
    failures = 0;
    stale.hidden = true;
    if (busy()) return;
    const open = new Set([...main.querySelectorAll("details[open][id]")].map((d) => d.id));
    const tables = [...main.querySelectorAll("details:not([id])")].map((d) => d.open); // of charts, known by their place
    const active = main.contains(document.activeElement) ? document.activeElement : null;
    const id = active?.closest("details")?.id, href = active?.getAttribute("href");
    const scrolled = [...main.querySelectorAll(".scroll")].map((s) => [s.scrollLeft, s.scrollTop]);
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const d of next.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = true;
    [...next.querySelectorAll("details:not([id])")].forEach((d, i) => { if (tables[i]) d.open = true; });
    for (const b of next.querySelectorAll("button[data-copy]")) b.hidden = false;
    main.replaceChildren(...next.body.childNodes);
    [...main.querySelectorAll(".scroll")].forEach((s, i) => { if (scrolled[i]) [s.scrollLeft, s.scrollTop] = scrolled[i]; });
    if (id) document.getElementById(id)?.querySelector("summary")?.focus({ preventScroll: true });
    else if (href) main.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
    const title = main.querySelector("h1")?.textContent;
    if (title) document.title = title + " · llm_prober";
    document.dispatchEvent(new Event("charts"));
  }

  function lost() {
    failures++;
    const seconds = Math.round((Date.now() - last) / 1000);
    if (failures < 2 && seconds < 10) return;
    stale.textContent = "llm_prober cannot be reached: this is what it said " + seconds + " s ago.";
    stale.hidden = false;
  }

  // Where too many watch, or events do not get through, the page is asked for again and again.
  async function ask() {
    try {
      const response = await fetch(main.dataset.source, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error("HTTP " + response.status);
      replace(await response.text());
    } catch {
      lost();
    }
  }

  function stop() {
    source?.close();
    source = null;
    clearTimeout(timer);
  }

  function begin() {
    stop();
    source = new EventSource(main.dataset.live);
    source.addEventListener("fragment", (event) => replace(event.data));
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) { lost(); return; } // it tries again by itself
      stop();
      ask();
      timer = setTimeout(begin, 10000);
    });
  }

  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else begin(); });
  addEventListener("pagehide", stop);
  if (!document.hidden) begin();
})();
