// What is shown below each other: home, everybody, an account, a hashtag, a thread. Which of them,
// the fragment of the address says, so that going back works.

import { call } from "./api.js?v={digest}";
import { at, element } from "./dom.js?v={digest}";
import { profile } from "./profile.js?v={digest}";
import { isHidden, statusCard } from "./status.js?v={digest}";

const PAGE = 20;
const AT_TOP_PX = 200;
// A page that is open for days must not grow for days.
const SHOWN_MAX = 400;
const HOME = {
  tab: "home",
  path: "/api/v1/timelines/home",
  stream: "user",
  context: "home",
  empty: "Nothing here yet. Look at what everybody writes, and follow somebody.",
};
const EVERYBODY = {
  tab: "public",
  path: "/api/v1/timelines/public",
  stream: "public",
  context: "public",
  empty: "Nobody has written anything for everybody yet.",
};

/** What a fragment asks for: `#@name`, `#@name/ID`, `#tags/name`, `#everybody`, or nothing. */
async function viewOf(fragment) {
  const [, name, status] = /^#@(\w+)(?:\/(\d+))?$/.exec(fragment) ?? [];
  const [, tag] = /^#tags\/([^/]+)$/.exec(fragment) ?? [];
  if (status) return { thread: status, context: "thread" };
  if (name) {
    const account = await call(`/api/v1/accounts/lookup?${new URLSearchParams({ acct: name })}`);
    return { account, path: `/api/v1/accounts/${account.id}/statuses`, context: "account", empty: "No posts for you to see." };
  }
  if (tag) return { tag: decodeURIComponent(tag), path: `/api/v1/timelines/tag/${tag}`, context: "public", empty: "No posts yet." };
  return fragment === "#everybody" ? EVERYBODY : HOME;
}

const isNewer = (one, other) => one.length > other.length || (one.length === other.length && one > other);
const nodeOf = (id) => at("list").querySelector(`[data-id="${CSS.escape(id)}"]`);
const allOf = (id) => at("list").querySelectorAll(`[data-of="${CSS.escape(id)}"]`);

export function timelines({ attempt, answer, follow }) {
  let me = null;
  let view = HOME;
  let waiting = new Map();
  const actions = { reply: answer, mark, delete: remove };
  const card = (status) => statusCard(status, { me: me.id, context: view.context, actions });

  /** Put a status where its id belongs, once. */
  function place(status) {
    if (isHidden(status, view.context) || nodeOf(status.id)) return;
    const next = [...at("list").children].find((node) => isNewer(status.id, node.dataset.id));
    at("list").insertBefore(card(status), next ?? null);
    at("empty").hidden = true;
  }

  function showPage(page, older) {
    if (!older) at("list").replaceChildren();
    page.forEach(place);
    at("older").hidden = page.length < PAGE;
    showEmpty();
  }

  function showEmpty() {
    at("empty").textContent = view.empty;
    at("empty").hidden = at("list").children.length > 0;
  }

  async function showThread(id) {
    const [status, { ancestors, descendants }] = await Promise.all([
      call(`/api/v1/statuses/${id}`),
      call(`/api/v1/statuses/${id}/context`),
    ]);
    if (view.thread !== id) return;
    const chosen = card(status);
    chosen.classList.add("chosen");
    at("list").replaceChildren(...ancestors.map(card), chosen, ...descendants.map(card));
    at("older").hidden = at("empty").hidden = true;
  }

  async function read(query = {}) {
    const asked = view;
    const page = await call(`${view.path}?${new URLSearchParams({ limit: PAGE, ...query })}`);
    // Somebody may have gone on to another one meanwhile.
    return asked === view ? page : null;
  }

  async function show() {
    const fragment = location.hash;
    const found = await viewOf(fragment);
    if (fragment !== location.hash || !me) return;
    view = found;
    for (const tab of ["home", "public"]) at(`tab-${tab}`).toggleAttribute("aria-current", tab === view.tab);
    follow(view.stream);
    showWaiting(new Map());
    // Nothing of the one before stands below the head of this one while it is read.
    for (const id of ["head", "list"]) at(id).replaceChildren();
    at("older").hidden = at("empty").hidden = true;
    if (view.tag) at("head").append(element("h2", "about", `#${view.tag}`));
    if (view.account) at("head").append(profile(view.account, me, attempt));
    if (view.thread) return showThread(view.thread);
    const page = await read();
    if (page) showPage(page);
  }

  /** What a stream may have missed. If even the newest page does not reach what is shown, begin anew. */
  async function lookAgain() {
    if (view.thread) return showThread(view.thread);
    const page = await read();
    if (!page) return;
    if (page.length === PAGE && !page.some(({ id }) => nodeOf(id))) showPage(page);
    else page.filter(({ id }) => !isBelow(id)).forEach(arrive);
  }

  /** Older than all that is shown: that comes when it is asked for. */
  function isBelow(id) {
    const last = at("list").lastElementChild;
    return last !== null && isNewer(last.dataset.id, id);
  }

  function showWaiting(now) {
    waiting = now;
    at("newer").hidden = now.size === 0;
    at("newer").textContent = now.size === 1 ? "Show 1 new post" : `Show ${now.size} new posts`;
  }

  /** What is new is shown at once to who looks at the top, and does not move what others read. */
  function arrive(status) {
    if (nodeOf(status.id) || isHidden(status, view.context)) return;
    if (scrollY >= AT_TOP_PX) {
      if (waiting.size < SHOWN_MAX) showWaiting(new Map(waiting).set(status.id, status));
      return;
    }
    place(status);
    if (at("list").children.length > SHOWN_MAX) {
      at("list").lastElementChild.remove();
      at("older").hidden = false;
    }
  }

  function gone(id) {
    nodeOf(id)?.remove();
    for (const node of allOf(id)) node.remove();
    if (waiting.has(id)) showWaiting(new Map([...waiting].filter(([other]) => other !== id)));
    if (!view.thread) showEmpty();
  }

  /** Show anew what is there of a status, as itself or as what somebody shared. */
  function refresh(status) {
    for (const node of allOf(status.id)) {
      const shared = node.querySelector(".shared");
      const made = card(status);
      made.dataset.id = node.dataset.id;
      made.className = node.className;
      if (shared) made.prepend(shared);
      node.replaceWith(made);
    }
  }

  function mark(status, name, button) {
    const undo = button.getAttribute("aria-pressed") === "true" ? "un" : "";
    const { id } = button.closest("article").dataset;
    button.disabled = true;
    attempt(async () => {
      try {
        const answered = await call(`/api/v1/statuses/${status.id}/${undo}${name}`, { method: "POST" });
        refresh(answered.reblog ?? answered);
        nodeOf(id)?.querySelector(`.act.${name === "reblog" ? "share" : name}`)?.focus();
      } finally {
        button.disabled = false;
      }
    });
  }

  function remove(status) {
    if (!confirm("Delete this post?")) return;
    attempt(async () => {
      await call(`/api/v1/statuses/${status.id}`, { method: "DELETE" });
      gone(status.id);
    });
  }

  at("older").addEventListener("click", () =>
    attempt(async () => {
      const page = await read({ max_id: at("list").lastElementChild.dataset.id });
      if (page) showPage(page, true);
    }),
  );
  at("newer").addEventListener("click", () => {
    if (waiting.size < SHOWN_MAX) waiting.forEach(place);
    else attempt(show);
    showWaiting(new Map());
    scrollTo({ top: 0, behavior: "smooth" });
  });
  addEventListener("hashchange", () => {
    scrollTo({ top: 0 });
    if (me) attempt(show);
  });

  return {
    begin(account) {
      me = account;
      return show();
    },
    clear() {
      me = null;
      view = HOME;
      showWaiting(new Map());
      for (const id of ["list", "head"]) at(id).replaceChildren();
    },
    lookAgain,
    gone,
    refresh,
    heard(stream, status) {
      if (stream === view.stream) arrive(status);
    },
    /** Something of one's own that has just been written. */
    async posted(status) {
      if (view.thread) return showThread(view.thread);
      const fits = view === HOME ? status.visibility !== "direct" : view === EVERYBODY && status.visibility === "public" && !status.in_reply_to_id;
      if (fits) place(status);
      if (status.in_reply_to_id) refresh(await call(`/api/v1/statuses/${status.in_reply_to_id}`));
    },
  };
}
