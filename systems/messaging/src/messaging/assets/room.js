// One room: its timeline, what is typed, who is there.

import { ApiError, call, part } from "/-/api.js?v={digest}";
import { at, face, reconcile, say } from "/-/parts.js?v={digest}";
import { showPeople } from "/-/people.js?v={digest}";
import { itemsOf } from "/-/timeline.js?v={digest}";
import { listed, nameOf, peer, people, roomName } from "/-/words.js?v={digest}";

const PAGE_ITEMS = 60;
const OLDER_FROM_PX = 400;
const END_PX = 48;
const TYPING_MS = 15_000;
const OLDER_QUERY = { dir: "b", limit: PAGE_ITEMS, filter: JSON.stringify({ lazy_load_members: true }) };

export class RoomView {
  #store = null;
  #outbox = null;
  #room = null;
  #isAtEnd = true;
  #loading = null;
  #marked = "";
  #typedAt = 0;
  #drafts = new Map();

  constructor() {
    const box = at("timeline");
    box.addEventListener("scroll", () => {
      this.#isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < END_PX;
      if (this.#isAtEnd) {
        at("to-end").hidden = true;
        this.#markRead();
      }
      this.#readOlder();
    });
    new ResizeObserver(() => this.#isAtEnd && this.#toEnd()).observe(box);
    document.addEventListener("visibilitychange", () => this.#markRead());
    at("to-end").addEventListener("click", () => this.#toEnd());
    at("events").addEventListener("click", (event) => {
      const { retry, drop } = event.target.dataset;
      if (retry) this.#outbox.retry(retry);
      if (drop) this.#outbox.drop(drop);
    });
    at("text").addEventListener("input", () => {
      this.#grow();
      this.#typing(at("text").value !== "");
    });
    at("text").addEventListener("keydown", (event) => {
      // On a phone Enter makes a new line: there is a button to send.
      const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing && !matchMedia("(pointer: coarse)").matches;
      if (!sends) return;
      event.preventDefault();
      at("composer").requestSubmit();
    });
    at("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendText();
    });
    at("picture").addEventListener("change", () => this.#sendPicture());
  }

  /** Show a room of a store, which may be the one that is shown. */
  show(store, outbox, room) {
    const isOther = this.#room?.id !== room.id;
    if (isOther) this.hide();
    this.#store = store;
    this.#outbox = outbox;
    this.#room = room;
    if (isOther) {
      at("text").value = this.#drafts.get(room.id) ?? "";
      at("events").replaceChildren();
      at("to-end").hidden = true;
      this.#isAtEnd = true;
      this.#marked = "";
    }
    this.#head();
    this.#render(false);
    if (isOther) {
      this.#grow();
      if (!matchMedia("(pointer: coarse)").matches) at("text").focus();
    }
  }

  /** Nothing is shown any more; what was typed is kept. */
  hide() {
    if (!this.#room) return;
    this.#typing(false);
    this.#drafts.set(this.#room.id, at("text").value);
    at("people").hidden = true;
    this.#room = null;
  }

  #head() {
    const room = this.#room;
    const other = peer(room);
    const presence = other && (this.#store.presence.get(other) ?? "offline");
    const name = roomName(room);
    at("room-face").replaceChildren(face(name, other ?? room.id, presence));
    at("room-name").textContent = name;
    const topic = room.state.get("m.room.topic")?.topic;
    at("room-about").textContent = topic || people(room.summary["m.joined_member_count"] ?? room.members.size);
    const isEncrypted = room.state.has("m.room.encryption");
    at("composer").hidden = isEncrypted;
    at("no-writing").hidden = !isEncrypted;
    const typing = room.typing.map((user) => nameOf(room, user));
    at("typing").textContent = typing.length ? `${listed(typing)} ${typing.length > 1 ? "are" : "is"} typing…` : "";
    showPeople(this.#store, room);
  }

  /** `isOlder`: what is new stands above, so what is seen keeps its distance from the end. */
  #render(isOlder) {
    const box = at("timeline");
    const fromEnd = box.scrollHeight - box.scrollTop;
    const last = at("events").lastElementChild;
    reconcile(at("events"), itemsOf(this.#store, this.#room, this.#outbox));
    at("beginning").textContent = this.#room.older === null ? "This is where the room begins." : "…";
    if (this.#isAtEnd) this.#toEnd();
    else if (isOlder) box.scrollTop = box.scrollHeight - fromEnd;
    else if (last && at("events").lastElementChild !== last) at("to-end").hidden = false;
    this.#readOlder();
    this.#markRead();
  }

  #toEnd() {
    at("timeline").scrollTop = at("timeline").scrollHeight;
  }

  async #readOlder() {
    const room = this.#room;
    if (!room?.older || this.#loading === room || at("timeline").scrollTop > OLDER_FROM_PX) return;
    this.#loading = room;
    let isDone = false;
    try {
      const { stretch, older } = room;
      const answer = await call("GET", `/rooms/${part(room.id)}/messages`, { query: { ...OLDER_QUERY, from: older } });
      this.#store.older(room, stretch, answer);
      isDone = true;
    } catch (error) {
      // The next turn of the wheel asks again.
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
    } finally {
      if (this.#loading === room) this.#loading = null;
    }
    if (isDone && this.#room === room) this.#render(true);
  }

  /** Tell the others how far one has read, when one sees the end. */
  async #markRead() {
    const room = this.#room;
    if (!room || document.hidden || !this.#isAtEnd) return;
    const last = room.timeline.at(-1);
    if (!last || this.#marked === last.event_id || this.#store.hasRead(room, last.event_id)) return;
    if (last.sender === this.#store.userId && !room.unread) return;
    this.#marked = last.event_id;
    try {
      await call("POST", `/rooms/${part(room.id)}/receipt/m.read/${part(last.event_id)}`, { body: {} });
    } catch (error) {
      // Whatever is shown next tries again.
      if (!(error instanceof ApiError)) throw error;
      if (this.#marked === last.event_id) this.#marked = "";
    }
  }

  async #typing(isTyping) {
    const now = Date.now();
    if (isTyping ? now - this.#typedAt < TYPING_MS / 2 : !this.#typedAt) return;
    this.#typedAt = isTyping ? now : 0;
    const body = isTyping ? { typing: true, timeout: TYPING_MS } : { typing: false };
    try {
      await call("PUT", `/rooms/${part(this.#room.id)}/typing/${part(this.#store.userId)}`, { body });
    } catch (error) {
      // That somebody types is soon no longer so, whether it was told or not.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #grow() {
    const text = at("text");
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight + 2, 160)}px`;
  }

  #sendText() {
    const body = at("text").value.trim();
    if (!body || !this.#room) return; // Signed out meanwhile: the text stays where it is.
    at("text").value = "";
    this.#grow();
    this.#typing(false);
    this.#send({ msgtype: "m.text", body, "m.mentions": this.#mentions(body) });
  }

  /** Whom `@alice` or `@alice:server` in a text means: members only. */
  #mentions(body) {
    const room = this.#room;
    const named = new Set(body.match(/@[^\s,;!?]+/g) ?? []);
    const means = (user) => named.has(user) || named.has(user.split(":")[0]);
    const found = [...room.members.keys()].filter((user) => user !== this.#store.userId && means(user));
    return found.length ? { user_ids: found } : {};
  }

  async #sendPicture() {
    const [file] = at("picture").files;
    at("picture").value = "";
    if (!file) return;
    const room = this.#room;
    const info = { mimetype: file.type, size: file.size };
    try {
      const { width, height } = await createImageBitmap(file);
      Object.assign(info, { w: width, h: height });
    } catch {
      say("The browser cannot read this picture.");
      return;
    }
    if (this.#room === room) this.#send({ msgtype: "m.image", body: file.name, info }, file);
  }

  #send(content, file) {
    this.#isAtEnd = true;
    this.#outbox.add(this.#room.id, content, file);
  }
}
