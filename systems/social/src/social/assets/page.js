// The page of the social platform: a client of the API of its own origin, like any other client.

import { ApiError, call, enter, finishEntering, forget, leave, session } from "./api.js?v={digest}";
import { composing } from "./compose.js?v={digest}";
import { at, element } from "./dom.js?v={digest}";
import { Live } from "./live.js?v={digest}";
import { ago, avatar, here, icon, nameOf, textOf } from "./status.js?v={digest}";
import { timelines } from "./timeline.js?v={digest}";

const { streams, title } = document.body.dataset;
const DEEDS = {
  mention: "mentioned you",
  reblog: "shared your post",
  favourite: "favourited your post",
  follow: "follows you",
  follow_request: "asks to follow you",
  poll: "asked a poll that has ended",
  status: "posted",
  update: "edited a post",
};
const state = { me: null, live: null, unread: 0 };

function say(text, bad = false) {
  const notice = at(state.me ? "notice" : "out-notice");
  notice.textContent = text;
  notice.classList.toggle("bad", bad);
  notice.hidden = !text;
}

/** Run what a user asked for; what goes wrong is said to them. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 && session.token) signedOut();
    say(error.message, true);
  }
}

const compose = composing({ attempt, say, posted: (status) => attempt(() => shown.posted(status)) });
const shown = timelines({
  attempt,
  answer: compose.answer,
  follow: (stream) => (stream === "public" ? state.live?.watch("public") : state.live?.unwatch("public")),
});

// Notifications.

function showUnread(count) {
  state.unread = count;
  at("unread").hidden = count === 0;
  at("unread").textContent = count > 99 ? "99+" : count;
  at("bell").setAttribute("aria-label", count ? `Notifications, ${count} new` : "Notifications");
  document.title = count ? `(${count}) ${title}` : title;
}

const countUnread = async () => showUnread((await call("/api/v1/notifications/unread_count")).count);

function notification({ type, account, status, created_at }) {
  const line = element("li");
  const text = element("span");
  const who = element("a", "", nameOf(account));
  who.href = here(account.url);
  text.append(who, ` ${DEEDS[type] ?? type} · ${ago(created_at)}`);
  if (status) {
    const said = element("a", "said", status.spoiler_text || textOf(status.content));
    said.href = here(status.url);
    text.append(said);
  }
  line.append(avatar(account), text);
  return line;
}

async function showNotifications() {
  const found = await call("/api/v1/notifications?limit=20");
  at("told-list").replaceChildren(...found.map(notification));
  at("told-none").hidden = found.length > 0;
  if (found.length) await call("/api/v1/markers", { method: "POST", body: { notifications: { last_read_id: found[0].id } } });
  showUnread(0);
}

// Live.

function heard(stream, event, payload) {
  if (event === "notification") {
    if (at("told").hidden) showUnread(state.unread + 1);
    else attempt(showNotifications);
  } else if (event === "delete") shown.gone(payload);
  else if (event === "status.update") shown.refresh(JSON.parse(payload));
  else if (event === "update") shown.heard(stream, JSON.parse(payload));
}

function showLive(on) {
  at("live").classList.toggle("on", on);
  at("live").title = on ? "Live" : "Not live; it is tried again";
  at("live").setAttribute("aria-label", at("live").title);
}

// Signing in and out.

async function signedIn() {
  state.me = await call("/api/v1/accounts/verify_credentials");
  at("me").href = here(state.me.url);
  at("me").setAttribute("aria-label", `Your account, @${state.me.acct}`);
  at("me-picture").src = here(state.me.avatar_static);
  compose.begin(state.me);
  say("");
  for (const id of ["in", "tools"]) at(id).hidden = false;
  at("out").hidden = true;
  state.live = new Live({
    address: streams || location.origin.replace(/^http/, "ws"),
    token: session.token,
    look: () => attempt(() => Promise.all([shown.lookAgain(), countUnread()])),
    heard,
    changed: showLive,
  });
  await attempt(() => Promise.all([shown.begin(state.me), countUnread()]));
}

function signedOut() {
  forget();
  state.live?.stop();
  Object.assign(state, { me: null, live: null });
  showUnread(0);
  showLive(false);
  // Nothing of one account is left for whoever signs in next.
  shown.clear();
  compose.reset();
  at("told-list").replaceChildren();
  for (const id of ["in", "tools", "told"]) at(id).hidden = true;
  at("out").hidden = false;
}

at("enter").addEventListener("click", () => attempt(() => enter(title)));
at("leave").addEventListener("click", () =>
  attempt(async () => {
    await leave();
    signedOut();
    say("You are signed out.");
  }),
);
function showTold(open) {
  at("told").hidden = !open;
  at("bell").setAttribute("aria-expanded", open);
}
at("bell").addEventListener("click", () => {
  showTold(at("told").hidden);
  if (!at("told").hidden) attempt(showNotifications);
});

// The public pages of accounts, statuses and hashtags are for who has not signed in: who has stays
// here, where what is not for everybody is shown as well.
const PUBLIC_PAGE = /^\/(@\w+(?:\/\d+)?|tags\/[^/]+)$/;
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!state.me || !link || !isPlain || link.origin !== location.origin) return;
  const [, fragment] = PUBLIC_PAGE.exec(link.pathname) ?? [];
  if (!fragment) return;
  event.preventDefault();
  showTold(false);
  location.hash = fragment;
});

addEventListener("hashchange", () => state.me && say(""));
setInterval(() => {
  for (const time of document.querySelectorAll("time")) time.textContent = ago(time.dateTime);
}, 60000);
at("bell-icon").append(icon("bell"));
at("files-icon").append(icon("picture"));

attempt(async () => {
  await finishEntering();
  if (session.token) await signedIn();
}).finally(() => {
  at("out").hidden = Boolean(state.me);
});
