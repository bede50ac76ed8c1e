"use strict";
(() => {
  const form = document.getElementById("filter");
  const sections = [...document.querySelectorAll("section.target")];
  const filter = () => {
    const text = form.elements.text.value.trim().toLowerCase();
    const wanted = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
    let shown = 0;
    for (const section of sections) {
      const row = document.querySelector(`[data-of="${section.id}"]`);
      const fits = wanted.has(section.dataset.verdict) && row.textContent.toLowerCase().includes(text);
      section.hidden = row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").value = `${shown} of ${sections.length} shown`;
  };
  if (form) {
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  const reveal = () => {
    const there = document.getElementById(location.hash.slice(1));
    for (let node = there; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
      node.hidden = false;
    }
    if (there) there.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
})();
