"use strict";
const form = document.getElementById("filter");
const rows = [...document.querySelectorAll(".cases tbody tr")];
const texts = rows.map((row) => row.textContent.toLowerCase());
function narrow() {
  const words = form.elements.words.value.toLowerCase().split(/\s+/);
  const chosen = [...form.querySelectorAll("select")];
  let shown = 0;
  rows.forEach((row, place) => {
    const fits = chosen.every((one) => !one.value || row.dataset[one.name] === one.value)
      && words.every((word) => texts[place].includes(word));
    row.hidden = !fits;
    shown += fits;
  });
  for (const group of document.querySelectorAll("section.group")) {
    group.hidden = !group.querySelector("tbody tr:not([hidden])");
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
}
form.hidden = false;
form.addEventListener("input", narrow);
form.addEventListener("reset", () => setTimeout(narrow));
form.addEventListener("submit", (event) => event.preventDefault());
// A browser that goes back fills the form in again.
window.addEventListener("pageshow", narrow);
