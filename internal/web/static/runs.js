// Keeps the focus, and the runs chosen for a comparison, when the list is swapped under them. The page works without it.
"use strict";

(() => {
  let focus = "";
  const chosen = { a: "", b: "" };
  document.addEventListener("focusin", (event) => { focus = event.target.id ?? ""; });
  document.addEventListener("change", (event) => { if (event.target.name in chosen) chosen[event.target.name] = event.target.value; });
  document.addEventListener("charts", () => {
    for (const name of ["a", "b"]) {
      for (const radio of document.querySelectorAll(`input[type=radio][name=${name}]`)) if (radio.value === chosen[name]) radio.checked = true;
    }
    if (focus && document.activeElement === document.body) document.getElementById(focus)?.focus({ preventScroll: true });
  });
})();
