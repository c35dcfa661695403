// Asks the server again and again, but only while somebody looks, and hands on the answers.
import * as api from "./api.js";

/** Calls `read` every `everyMs` and gives its answers to `show`, until the function it returns is called. */
export function poll(read, everyMs, show, fail = () => {}) {
  let timer = null;
  let running = true;
  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      const answer = await read();
      if (running) show(answer);
    } catch (error) {
      if (running) fail(error);
    }
    asking = false;
    if (running && !document.hidden) timer = setTimeout(ask, everyMs);
  };
  const wake = () => !document.hidden && ask();
  document.addEventListener("visibilitychange", wake);
  ask();
  return () => {
    running = false;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", wake);
  };
}

const watchers = new Set();
let latest = null;
let stopStatus = null;

/** Gives the status to `show` now, if it is known, and whenever it is read; returns how to stop that. */
export function watchStatus(show) {
  watchers.add(show);
  if (latest) show(latest);
  return () => watchers.delete(show);
}

/** Begins to read the status, for the frame and all pages together. */
export function startStatus() {
  stopStatus ??= poll(api.status, 2000, (status) => {
    latest = status;
    watchers.forEach((show) => show(status));
  });
}

export function endStatus() {
  stopStatus?.();
  stopStatus = null;
  latest = null;
}
