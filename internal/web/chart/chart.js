// Values under the pointer, and one crosshair over all charts of a group. Charts are complete without it.
"use strict";

(() => {
  const svgNS = "http://www.w3.org/2000/svg";

  function data(plot) {
    if (!plot.chartData && plot.dataset.hover) plot.chartData = JSON.parse(plot.dataset.hover);
    return plot.chartData;
  }

  // The place in a sorted list that is nearest to v.
  function nearest(list, v) {
    let low = 0, high = list.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (list[middle] < v) low = middle; else high = middle;
    }
    return Math.abs(list[low] - v) <= Math.abs(list[high] - v) ? low : high;
  }

  function cross(plot, at) {
    let line = plot.querySelector(":scope > .cross");
    if (!line) {
      line = document.createElementNS(svgNS, "line");
      line.setAttribute("class", "cross");
      line.setAttribute("y1", plot.dataset.top);
      line.setAttribute("y2", Number(plot.dataset.top) + Number(plot.dataset.high));
      plot.append(line);
    }
    line.setAttribute("x1", at * 100 + "%");
    line.setAttribute("x2", at * 100 + "%");
  }

  function clear() {
    for (const line of document.querySelectorAll(".plot > .cross")) line.remove();
    for (const tip of document.querySelectorAll(".tip")) tip.remove();
  }

  function tip(plot, d, i) {
    const frame = plot.parentElement;
    let box = frame.querySelector(":scope > .tip");
    if (!box) {
      box = document.createElement("div");
      box.className = "tip";
      box.setAttribute("role", "status");
      frame.append(box);
    }
    const lines = [document.createElement("b")];
    lines[0].textContent = d.t[i];
    for (const s of d.s) {
      if (!s.v[i]) continue;
      const line = document.createElement("div"), key = document.createElement("span");
      key.className = "k " + s.c;
      key.textContent = s.n + " " + s.v[i];
      line.append(key);
      lines.push(line);
    }
    box.replaceChildren(...lines);
    const left = plot.getBoundingClientRect().left - frame.getBoundingClientRect().left + d.f[i] * plot.clientWidth;
    const width = box.offsetWidth;
    box.style.left = Math.max(0, left + 10 + width > frame.clientWidth ? left - 10 - width : left + 10) + "px";
  }

  function show(plot, i) {
    const d = data(plot);
    clear();
    plot.chartIndex = i;
    cross(plot, d.f[i]);
    tip(plot, d, i);
    const group = plot.dataset.group;
    if (!group) return;
    for (const other of document.querySelectorAll(".plot[data-hover]")) {
      if (other === plot || other.dataset.group !== group) continue;
      const o = data(other);
      if (!o.x.length) continue;
      const j = nearest(o.x, d.x[i]);
      cross(other, o.f[j]);
      tip(other, o, j);
    }
  }

  const plotOf = (event) => event.target.closest?.(".plot[data-hover]");

  document.addEventListener("pointermove", (event) => {
    const plot = plotOf(event);
    if (!plot) { if (document.querySelector(".tip")) clear(); return; }
    const box = plot.getBoundingClientRect(), d = data(plot);
    if (box.width && d.x.length) show(plot, nearest(d.f, (event.clientX - box.left) / box.width));
  });

  document.addEventListener("keydown", (event) => {
    const plot = plotOf(event);
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") clear();
    if (!plot || !steps) return;
    const last = data(plot).x.length - 1;
    const from = plot.chartIndex ?? (steps > 0 ? -1 : last + 1);
    if (last >= 0) show(plot, Math.min(last, Math.max(0, from + steps)));
    event.preventDefault();
  });

  document.addEventListener("focusout", clear);

  // Only with this script is there something to do at a chart.
  function reachable() {
    for (const plot of document.querySelectorAll(".plot[data-hover]")) plot.setAttribute("tabindex", "0");
  }
  document.addEventListener("charts", reachable);
  reachable();
})();
