// Sliders beside the numbers, and a button that prints. Without this file, every form works by its number fields.
"use strict";
for (const slider of document.querySelectorAll("input[type=range][data-for]")) {
  const number = document.getElementById(slider.dataset.for);
  const places = Math.max(0, Math.ceil(2 - Math.log10(slider.max - slider.min)));
  slider.hidden = false;
  slider.addEventListener("input", () => { number.value = String(Number(Number(slider.value).toFixed(places))); });
  number.addEventListener("input", () => { slider.value = number.value; });
}
const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}
