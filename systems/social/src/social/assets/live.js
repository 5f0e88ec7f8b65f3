// What happens now, over one WebSocket. A stream that may have missed something is ended by the
// service, and whoever comes back reads the timeline: `look` is called each time one is open, and
// also when none can be opened, so without streams the page still finds out, only later.

const WAIT_MIN_MS = 1000;
const WAIT_MAX_MS = 30000;

export class Live {
  #socket = null;
  #timer = 0;
  #tries = 0;
  #watched = new Set();

  constructor({ address, token, look, heard, changed }) {
    Object.assign(this, { address, token, look, heard, changed });
    this.#open();
  }

  #open() {
    // As a subprotocol, because a browser sets no headers here, and an address ends in logs.
    const socket = new WebSocket(`${this.address}/api/v1/streaming?stream=user`, this.token);
    this.#socket = socket;
    let wasOpen = false;
    socket.addEventListener("open", () => {
      wasOpen = true;
      this.#tries = 0;
      for (const stream of this.#watched) this.#say("subscribe", stream);
      this.changed(true);
      this.look();
    });
    socket.addEventListener("message", ({ data }) => {
      const { stream, event, payload } = JSON.parse(data);
      if (event) this.heard(stream[0], event, payload);
    });
    socket.addEventListener("close", () => {
      if (socket !== this.#socket) return;
      this.changed(false);
      if (!wasOpen) this.look();
      const wait = Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** this.#tries++);
      // Not all at the same moment, when a process ends that many were connected to.
      this.#timer = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2));
    });
  }

  #say(type, stream) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, stream }));
  }

  watch(stream) {
    this.#watched.add(stream);
    this.#say("subscribe", stream);
  }

  unwatch(stream) {
    if (this.#watched.delete(stream)) this.#say("unsubscribe", stream);
  }

  stop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
