// The page of the messaging server: one more client of its API.

import { ApiError, call, keepSession, part, session, userId, whenSignedOut } from "/-/api.js?v={digest}";
import { at, element, face, say } from "/-/parts.js?v={digest}";
import { showDoor, wireDoor } from "/-/door.js?v={digest}";
import { showRooms } from "/-/list.js?v={digest}";
import { Outbox } from "/-/outbox.js?v={digest}";
import { wirePeople } from "/-/people.js?v={digest}";
import { RoomView } from "/-/room.js?v={digest}";
import { Store } from "/-/store.js?v={digest}";
import { follow } from "/-/sync.js?v={digest}";
import { localPart, nameOf, roomName } from "/-/words.js?v={digest}";

const view = new RoomView();
let store = null;
let outbox = null;
let following = null;

/** The room that the address names, if it is known. */
function openRoom() {
  try {
    return store?.rooms.get(decodeURIComponent(location.hash.slice(2))) ?? null;
  } catch {
    return null; // Somebody typed what names nothing.
  }
}

function show() {
  if (!store) return;
  const room = openRoom();
  showRooms(store, room?.id);
  at("app").classList.toggle("inside", Boolean(room));
  at("nothing").hidden = Boolean(room);
  at("invitation").hidden = room?.membership !== "invite";
  at("room").hidden = room?.membership !== "join";
  if (room?.membership === "join") view.show(store, outbox, room);
  else view.hide();
  if (room?.membership === "invite") showInvitation(room);
}

function showInvitation(room) {
  const name = roomName(room);
  at("invitation-face").replaceChildren(face(name, room.id));
  at("invitation-name").textContent = name;
  const who = room.inviter ? `${nameOf(room, room.inviter)} (${room.inviter})` : "Somebody";
  at("invitation-from").textContent = `${who} invites you.`;
}

function enter() {
  at("door").hidden = true;
  at("app").hidden = false;
  const name = localPart(session.user_id);
  at("me").replaceChildren(face(name, session.user_id), element("b", "", name));
  at("me").title = session.user_id;
  const stop = new AbortController();
  following = stop;
  outbox = new Outbox((room) => openRoom()?.id === room && show());
  const onAnswer = (answer, isAfresh) => {
    if (isAfresh) store = new Store(session.user_id);
    store.apply(answer);
    for (const [id, room] of Object.entries(answer.rooms?.join ?? {})) outbox.arrived(id, room.timeline);
    show();
  };
  const onLink = (isUp) => {
    at("link").hidden = isUp;
    at("link").textContent = isUp ? "" : "The server does not answer. Trying again…";
  };
  follow(stop.signal, onAnswer, onLink);
}

function forget(reason) {
  following?.abort();
  outbox?.close();
  view.hide();
  keepSession(null);
  store = outbox = following = null;
  document.title = "Messages";
  at("making").close();
  at("app").hidden = true;
  at("link").hidden = true;
  for (const id of ["rooms", "events", "members"]) at(id).replaceChildren();
  showDoor(reason);
}

/** Run what a user asked for with the button held; what goes wrong is said to them. */
async function attempt(button, work, complain = say) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code !== "M_UNKNOWN_TOKEN") complain(error.message);
  } finally {
    button.disabled = false;
  }
}

const goTo = (room) => (location.hash = room ? `#/${part(room)}` : "");

function complainOfMaking(text) {
  at("making-notice").textContent = text;
  at("making-notice").hidden = !text;
}

function finishMaking(answer) {
  at("making").close();
  at("make").reset();
  at("join").reset();
  goTo(answer.room_id);
}

at("new").addEventListener("click", () => {
  complainOfMaking("");
  at("making").showModal();
});
at("making-close").addEventListener("click", () => at("making").close());
at("make").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(event.target.querySelector("button"), async () => {
    complainOfMaking("");
    const invite = at("make-who").value.split(/[\s,]+/).filter(Boolean).map(userId);
    const preset = at("make-public").checked ? "public_chat" : "private_chat";
    finishMaking(await call("POST", "/createRoom", { body: { name: at("make-name").value.trim(), preset, invite } }));
  }, complainOfMaking);
});
at("join").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(event.target.querySelector("button"), async () => {
    complainOfMaking("");
    finishMaking(await call("POST", `/join/${part(at("join-where").value.trim())}`, { body: {} }));
  }, complainOfMaking);
});
at("accept").addEventListener("click", () => attempt(at("accept"), () => call("POST", `/join/${part(openRoom().id)}`, { body: {} })));
at("decline").addEventListener("click", () => attempt(at("decline"), async () => {
  await call("POST", `/rooms/${part(openRoom().id)}/leave`, { body: {} });
  goTo(null);
}));
at("sign-out").addEventListener("click", () => attempt(at("sign-out"), async () => {
  await call("POST", "/logout", { body: {} });
  outbox.clear();
  goTo(null);
  forget("");
}));

addEventListener("hashchange", show);
// Another tab of this browser signed out or in.
addEventListener("storage", (event) => event.key === "messaging-session" && location.reload());
whenSignedOut(() => forget("You were signed out."));
wireDoor(enter);
wirePeople(() => [store, openRoom()], () => goTo(null));

if (session) enter();
else showDoor("");
