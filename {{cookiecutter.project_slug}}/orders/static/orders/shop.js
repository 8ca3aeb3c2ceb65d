"use strict";

// Shows the total while the form is filled in, and sends it only once.
const form = document.getElementById("order-form");
const total = document.getElementById("total");

function showTotal() {
  let cents = 0;
  for (const input of form.querySelectorAll("input[data-price]")) {
    const quantity = Math.max(0, Math.trunc(Number(input.value) || 0));
    cents += Math.round(Number(input.dataset.price) * 100) * quantity;
  }
  total.value = (cents / 100).toFixed(2);
  total.parentElement.hidden = cents === 0;
}

form.addEventListener("input", showTotal);
form.addEventListener("submit", () => {
  form.querySelector("button").disabled = true;
});
// Coming back by the browser's back button must not find it disabled.
window.addEventListener("pageshow", () => {
  form.querySelector("button").disabled = false;
  showTotal();
});
