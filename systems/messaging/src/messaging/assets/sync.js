// Follows /sync: a long poll after the other, each from where the last one ended.

import { call } from "/-/api.js?v={digest}";

const POLL_MS = 30_000;
const FILTER = JSON.stringify({ room: { timeline: { limit: 40 }, state: { lazy_load_members: true } } });
const PAUSE_MS_MAX = 20_000;

/**
 * Calls `onAnswer(answer, afresh)` until `signal`; `afresh`: the answer tells everything.
 * `onLink(isUp)` says whether the server answers.
 */
export async function follow(signal, onAnswer, onLink) {
  let since = null;
  let failures = 0;
  while (!signal.aborted) {
    // A connection that died silently is given up some seconds after the server should have answered.
    const enough = AbortSignal.any([signal, AbortSignal.timeout(POLL_MS + 15_000)]);
    const query = { filter: FILTER, set_presence: document.hidden ? "unavailable" : "online" };
    if (since !== null) Object.assign(query, { since, timeout: failures ? 0 : POLL_MS });
    let answer;
    try {
      answer = await call("GET", "/sync", { query, signal: enough });
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      // A token that the server does not take: everything is asked for again.
      if (error.status === 400) since = null;
      failures++;
      onLink(false);
      await pause(Math.min(PAUSE_MS_MAX, 250 * 2 ** failures) * (0.5 + Math.random()), signal);
      continue;
    }
    if (signal.aborted) return;
    failures = 0;
    onLink(true);
    onAnswer(answer, since === null);
    since = answer.next_batch;
  }
}

/** Wait, but not when the network is back or the user looks again. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = () => {
      over.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const options = { signal: over.signal };
    addEventListener("online", end, options);
    document.addEventListener("visibilitychange", end, options);
    signal.addEventListener("abort", end, options);
    over.signal.addEventListener("abort", () => clearTimeout(timer));
  });
}
