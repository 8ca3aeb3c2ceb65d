"use strict";

// Fills the order page from its JSON, every second until the run has ended.
const SECOND = 1000;
const page = document.getElementById("order");
const list = document.getElementById("steps");
const blank = document.getElementById("step").content.firstElementChild;

function put(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
  return element;
}

function fill(item, step) {
  item.dataset.status = step.state;
  for (const place of item.querySelectorAll("[data-field]")) {
    place.textContent = step[place.dataset.field];
  }
}

function showSteps(steps) {
  while (list.children.length > steps.length) list.lastElementChild.remove();
  steps.forEach((step, index) => {
    const item = list.children[index] ?? list.appendChild(newItem());
    fill(item, step);
  });
}

function newItem() {
  const item = blank.cloneNode(true);
  item.classList.add("new");
  return item;
}

function show(order) {
  const run = order.run;
  const badge = put("status", titled(order.status));
  badge.dataset.status = order.status;
  document.title = `Order ${order.status} | ${page.dataset.site}`;
  put("reason", order.reason).hidden = !order.reason;
  if (!run) return;
  put("trouble", run.trouble).hidden = !run.trouble;
  put("error", run.error_message).hidden = !run.error_message;
  page.dataset.ended = run.ended ? "yes" : "no";
  put("run-status", run.status);
  put("messages", String(run.messages));
  put("deliveries", String(run.deliveries));
  put("pulse", run.ended ? "The run has ended." : "The run goes on by itself.");
  showSteps(run.steps);
}

function titled(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

async function poll() {
  try {
    const answer = await fetch(page.dataset.url, {
      headers: { Accept: "application/json" },
      cache: "no-store",
    });
    if (!answer.ok) throw new Error(String(answer.status));
    const order = await answer.json();
    show(order);
    if (order.run?.ended) return;
  } catch {
    // The order is safe in the database; only the view of it is late.
    put("pulse", "The site does not answer. Trying again…");
  }
  setTimeout(poll, SECOND);
}

if (page.dataset.ended === "no") setTimeout(poll, SECOND / 4);
