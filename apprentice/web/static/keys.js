// Keys, and the page of a run that is under way. Everything works without this.
"use strict";

const REFRESH_MS = 2000;
let going = false;

function rows() {
  return [...document.querySelectorAll("[data-row]")];
}

function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const now = all.findIndex((row) => row.classList.contains("at"));
  const next = Math.max(0, Math.min(all.length - 1, now + by));
  if (now >= 0) all[now].classList.remove("at");
  all[next].classList.add("at");
  all[next].scrollIntoView({ block: "nearest" });
  const link = all[next].querySelector("a");
  if (link) link.focus({ preventScroll: true });
}

function help() {
  document.getElementById("help").showModal();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  if (going) {
    going = false;
    const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
    return;
  }
  if (event.key === "g") going = true;
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "?") help();
  else if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  }
}

async function refresh() {
  const shown = document.querySelector("#live[data-live]");
  if (!shown || document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  if (fresh && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(document.adoptNode(fresh));
}

document.addEventListener("keydown", pressed);
document.getElementById("keys").addEventListener("click", help);
setInterval(() => refresh().catch(() => {}), REFRESH_MS);
