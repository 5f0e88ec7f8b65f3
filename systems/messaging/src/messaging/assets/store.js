// What /sync told, room by room. Nothing here knows of the screen.

const SAID = new Set(["m.room.message", "m.room.encrypted", "m.room.create"]);

function newRoom(id, membership) {
  return {
    id,
    membership,
    state: new Map(),
    members: new Map(),
    people: 0, // Counts changes of who is in it.
    timeline: [],
    known: new Set(),
    older: null, // The token of what was said before the timeline.
    stretch: 0, // Counts the timelines that were begun.
    edits: new Map(),
    redacted: new Set(),
    receipts: new Map(),
    typing: [],
    unread: 0,
    highlights: 0,
    summary: {},
    inviter: null,
    at: 0,
  };
}

export class Store {
  constructor(userId) {
    this.userId = userId;
    this.rooms = new Map();
    this.presence = new Map();
  }

  /** Take an answer of /sync. */
  apply(answer) {
    for (const event of answer.presence?.events ?? []) this.presence.set(event.sender, event.content.presence);
    const { join = {}, invite = {}, leave = {} } = answer.rooms ?? {};
    for (const [id, given] of Object.entries(join)) this.#joined(id, given);
    for (const [id, given] of Object.entries(invite)) this.#invited(id, given);
    for (const id of Object.keys(leave)) this.rooms.delete(id);
  }

  #joined(id, given) {
    let room = this.rooms.get(id);
    if (room?.membership !== "join") this.rooms.set(id, (room = newRoom(id, "join")));
    const { events = [], limited, prev_batch } = given.timeline ?? {};
    if (limited || (events.length && !room.timeline.length)) {
      // Between what was known and what is told there is a gap: it is read again when it is looked at.
      room.timeline = [];
      room.known.clear();
      room.older = prev_batch ?? null;
      room.stretch++;
    }
    for (const event of given.state?.events ?? []) takeState(room, event);
    for (const event of events) {
      if (room.known.has(event.event_id)) continue;
      note(room, event);
      room.timeline.push(event);
      if (event.state_key !== undefined) takeState(room, event);
      if (SAID.has(event.type) || !room.at) room.at = event.origin_server_ts;
    }
    for (const event of given.ephemeral?.events ?? []) {
      if (event.type === "m.typing") room.typing = event.content.user_ids.filter((user) => user !== this.userId);
      if (event.type === "m.receipt") takeReceipts(room, event.content);
    }
    Object.assign(room.summary, given.summary);
    const counts = given.unread_notifications;
    if (counts) {
      room.unread = counts.notification_count;
      room.highlights = counts.highlight_count;
    }
  }

  #invited(id, given) {
    const room = newRoom(id, "invite");
    for (const event of given.invite_state?.events ?? []) {
      takeState(room, event);
      if (event.type === "m.room.member" && event.state_key === this.userId) room.inviter = event.sender;
    }
    room.at = Date.now();
    this.rooms.set(id, room);
  }

  /** Take a page of older events, newest first, that was asked for in that stretch. */
  older(room, stretch, answer) {
    if (room.stretch !== stretch) return;
    for (const event of answer.state ?? []) {
      if (event.type === "m.room.member" && !room.members.has(event.state_key)) takeState(room, event);
    }
    const fresh = answer.chunk.filter((event) => !room.known.has(event.event_id));
    for (const event of fresh) note(room, event);
    room.timeline.unshift(...fresh.reverse());
    room.older = answer.end ?? null;
  }

  /** The rooms in the order of the list: invitations, then by what was said last. */
  sorted() {
    const first = (room) => (room.membership === "invite" ? 1 : 0);
    return [...this.rooms.values()].sort((a, b) => first(b) - first(a) || b.at - a.at);
  }

  /** How far others read: the last event of each in the timeline, as [user, index]. */
  readers(room) {
    const places = new Map(room.timeline.map((event, index) => [event.event_id, index]));
    const found = new Map();
    const upTo = (user, index) => user !== this.userId && index >= (found.get(user) ?? 0) && found.set(user, index);
    for (const [user, marks] of room.receipts) {
      for (const event of marks.values()) if (places.has(event)) upTo(user, places.get(event));
    }
    // Who says something has read what stands above it.
    room.timeline.forEach((event, index) => event.type === "m.room.message" && upTo(event.sender, index));
    return [...found];
  }

  /** Whether the user has told others that they read up to that event. */
  hasRead(room, eventId) {
    return [...(room.receipts.get(this.userId)?.values() ?? [])].includes(eventId);
  }
}

function takeState(room, event) {
  if (event.type === "m.room.member") {
    room.members.set(event.state_key, { name: event.content.displayname, membership: event.content.membership });
    room.people++;
  } else if (event.state_key === "") room.state.set(event.type, event.content);
}

function note(room, event) {
  room.known.add(event.event_id);
  const relation = event.content["m.relates_to"];
  if (event.type === "m.room.redaction") room.redacted.add(event.redacts ?? event.content.redacts);
  else if (relation?.rel_type === "m.replace") {
    const had = room.edits.get(relation.event_id);
    if (!had || had.origin_server_ts <= event.origin_server_ts) room.edits.set(relation.event_id, event);
  }
}

function takeReceipts(room, content) {
  for (const [event, kinds] of Object.entries(content)) {
    for (const kind of ["m.read", "m.read.private"]) {
      for (const [user, receipt] of Object.entries(kinds[kind] ?? {})) {
        if (!room.receipts.has(user)) room.receipts.set(user, new Map());
        room.receipts.get(user).set(receipt.thread_id ?? "", event);
      }
    }
  }
}
