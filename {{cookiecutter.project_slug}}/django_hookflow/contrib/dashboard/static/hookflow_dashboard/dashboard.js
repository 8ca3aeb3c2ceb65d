"use strict";

// Keeps a page up to date: asks for it again, and takes over the parts that
// have changed. Without this script, reloading does the same.
const wait = Number(document.body.dataset.live);
const pulse = document.getElementById("pulse");
let known = "";

// A part in which somebody writes is left alone.
function isInUse(part) {
  return (
    part.contains(document.activeElement) &&
    document.activeElement.matches("input, select, textarea, summary, button")
  ) || part.querySelector("details[open]") !== null;
}

// What a part shows; the token of a form is another one in each answer.
function shown(part) {
  return part.innerHTML.replace(/(csrfmiddlewaretoken" value=)"\w*"/g, "$1");
}

function takeOver(page) {
  let isWhole = true;
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || shown(fresh) === shown(part)) continue;
    if (isInUse(part)) {
      isWhole = false;
      continue;
    }
    const id = document.activeElement?.id;
    const link = part.contains(document.activeElement)
      ? document.activeElement.getAttribute("href")
      : null;
    part.replaceWith(document.adoptNode(fresh));
    if (link !== null) {
      const same = [...fresh.querySelectorAll("a[href]")];
      same.find((one) => one.getAttribute("href") === link)?.focus();
    } else if (id) {
      document.getElementById(id)?.focus();
    }
  }
  document.title = page.title;
  return isWhole;
}

async function poll() {
  let next = wait;
  try {
    if (!document.hidden) next = await ask();
    pulse.hidden = true;
  } catch {
    // The runs go on; only the view of them is late.
    pulse.hidden = false;
  }
  if (next) setTimeout(poll, next);
}

// Returns the milliseconds until the next time, 0 for never.
async function ask() {
  const answer = await fetch(location.href, {
    headers: known ? { "If-None-Match": known } : {},
    cache: "no-store",
    redirect: "manual",
  });
  if (answer.status === 304) return wait;
  if (answer.type === "opaqueredirect") {
    location.reload();
    return 0;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(
    await answer.text(),
    "text/html",
  );
  if (takeOver(page)) known = answer.headers.get("ETag") ?? "";
  return Number(page.body.dataset.live ?? 0);
}

if (wait) setTimeout(poll, wait);

// A form is sent once.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) {
    setTimeout(() => {
      button.disabled = true;
    });
  }
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) {
    button.disabled = false;
  }
});
