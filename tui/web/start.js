"use strict";
// Takes the token out of the address, exchanges it for a ticket, and opens the terminal with that.

(async () => {
  const words = document.getElementById("words");
  const say = (text) => {
    words.textContent = text;
    words.hidden = false;
  };
  // What stands behind # was sent to nobody; here it is taken out of the address bar, too. A tab keeps it for a reload.
  const given = location.hash.slice(1);
  if (given) sessionStorage.setItem("podium", given);
  if (given || location.search) history.replaceState(null, "", "/");
  const token = sessionStorage.getItem("podium");
  if (!document.createElement("canvas").getContext("webgl2")) return say("This browser has no WebGL 2, which draws the cockpit.");
  if (!token) return say("Open the address that `podium ui --web` has printed, with what stands behind the #.");

  let answer;
  let ticket;
  try {
    answer = await fetch("/ticket", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    ticket = await answer.text();
  } catch {
    return say("Podium does not answer; has it ended? Reload when it is there again.");
  }
  if (!answer.ok) return say(ticket);

  document.getElementById("terminal").dataset.sessionWebsocketUrl = `ws://${location.host}/session/${ticket}`;
  new MutationObserver(() => {
    if (document.body.classList.contains("-closed")) say("This session has ended. Reload for a new one; runs go on without it.");
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  try {
    await document.fonts.load("15px 'Roboto Mono'");
  } catch {
    // Another font will do.
  }
  const script = document.createElement("script");
  script.src = "/static/js/textual.js";
  script.onload = () => {
    // It waits for the window's load, which was before.
    const open = window.onload;
    window.onload = null;
    if (open) open(new Event("load"));
    document.querySelector(".xterm-helper-textarea")?.focus();
  };
  document.head.append(script);
})();
