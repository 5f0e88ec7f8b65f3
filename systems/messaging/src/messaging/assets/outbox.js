// Messages on their way. Each keeps its transaction id for as long as nobody knows whether it
// arrived, also over a reload, so that sending it again makes no second message.

import { ApiError, call, part, session } from "/-/api.js?v={digest}";

const KEPT = "messaging-outbox";
const PAUSE_MS_MAX = 15_000;

export class Outbox {
  #entries = [];
  #running = new Set();
  #gaps = new Map(); // When a room was last told with a gap.
  #isClosed = false;
  #onChange;

  /** `onChange(roomId)`: something is shown differently. */
  constructor(onChange) {
    this.#onChange = onChange;
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
    if (kept.user !== session.user_id) return;
    for (const entry of kept.entries) {
      // Transaction ids are a device's own: another one would send a second message.
      if (kept.device !== session.device_id) entry.problem = "You were signed out before this was sent.";
      this.#entries.push(entry);
      this.#run(entry.room);
    }
  }

  of(room) {
    return this.#entries.filter((entry) => entry.room === room);
  }

  add(room, content, file) {
    const txn = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    this.#entries.push({ room, txn, content, file, at: Date.now(), problem: "", event: null });
    this.#changed(room);
    this.#run(room);
  }

  retry(txn) {
    const entry = this.#entries.find((one) => one.txn === txn);
    if (!entry) return;
    entry.problem = "";
    this.#changed(entry.room);
    this.#run(entry.room);
  }

  drop(txn) {
    const entry = this.#entries.find((one) => one.txn === txn);
    if (entry) this.#remove(entry);
  }

  /** /sync told of this stretch of a room: what was shown of it until then goes. */
  arrived(room, { events = [], limited = false } = {}) {
    if (limited) this.#gaps.set(room, Date.now());
    for (const entry of this.of(room)) {
      const is = (event) => event.unsigned?.transaction_id === entry.txn || event.event_id === entry.event;
      // One that was answered and is not told stands in the gap.
      if (events.some(is) || (limited && entry.event)) this.#remove(entry);
    }
  }

  /** Forget what is on its way. */
  clear() {
    this.#entries = [];
    sessionStorage.removeItem(KEPT);
  }

  /** Send nothing more; what is on its way is kept for whoever signs in. */
  close() {
    this.#isClosed = true;
    this.#entries = [];
  }

  #remove(entry) {
    this.#entries = this.#entries.filter((one) => one !== entry);
    this.#changed(entry.room);
  }

  #changed(room) {
    if (this.#isClosed) return;
    // A picture that was not uploaded yet cannot be kept, and what was answered need not be.
    const entries = this.#entries.filter((one) => !one.file && !one.event).map((one) => ({ ...one, problem: "" }));
    sessionStorage.setItem(KEPT, JSON.stringify({ user: session?.user_id, device: session?.device_id, entries }));
    this.#onChange(room);
  }

  /** Send what waits in a room, one after the other, so that it arrives in that order. */
  async #run(room) {
    if (this.#running.has(room)) return;
    this.#running.add(room);
    try {
      let failures = 0;
      for (let entry; (entry = this.of(room).find((one) => !one.event && !one.problem)); ) {
        try {
          await this.#send(entry);
          failures = 0;
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (error.status === 401) return;
          if (error.isPassing) {
            const wanted = error.body.retry_after_ms ?? 500 * 2 ** failures++;
            await new Promise((resolve) => setTimeout(resolve, Math.min(PAUSE_MS_MAX, wanted)));
            continue;
          }
          entry.problem = error.message;
          this.#changed(room);
        }
      }
    } finally {
      this.#running.delete(room);
    }
  }

  async #send(entry) {
    if (entry.file) {
      const query = { filename: entry.content.body };
      const uploaded = await call("POST", "/_matrix/media/v3/upload", { file: entry.file, query });
      entry.content.url = uploaded.content_uri;
      entry.file = null;
    }
    const path = `/rooms/${part(entry.room)}/send/m.room.message/${part(entry.txn)}`;
    entry.event = (await call("PUT", path, { body: entry.content })).event_id;
    // /sync may have left it out before it was answered.
    if (this.#gaps.get(entry.room) > entry.at) this.#remove(entry);
    else this.#changed(entry.room);
  }
}
