// The form in which one writes: text, content warning, pictures, who may see it, what it answers.

import { call } from "./api.js?v={digest}";
import { at, element } from "./dom.js?v={digest}";

const PICTURES_MAX = 4;

export function composing({ attempt, say, posted }) {
  let me = null;
  let answered = null;
  let sent = null;
  let chosen = [];

  function showAnswered() {
    at("answering").hidden = !answered;
    at("answering-whom").textContent = answered ? `Answers @${answered.account.acct}` : "";
  }

  function showWarning(shown) {
    at("warning-field").hidden = !shown;
    at("warn").setAttribute("aria-pressed", shown);
  }

  function showChosen() {
    at("chosen").replaceChildren(...chosen.map(line));
    at("chosen").hidden = chosen.length === 0;
  }

  function line(one, number) {
    const made = element("li");
    const picture = element("img");
    picture.src = one.address;
    picture.alt = "";
    const text = element("input");
    text.placeholder = "Description";
    text.setAttribute("aria-label", `Description of picture ${number + 1}`);
    text.maxLength = 1500;
    text.value = one.description;
    text.addEventListener("input", () => Object.assign(one, { description: text.value, id: null }));
    const away = element("button", "plain", "Remove");
    away.type = "button";
    away.addEventListener("click", () => {
      drop(one);
      showChosen();
    });
    made.append(picture, text, away);
    return made;
  }

  function drop(one) {
    URL.revokeObjectURL(one.address);
    chosen = chosen.filter((other) => other !== one);
  }

  function reset() {
    answered = null;
    sent = null;
    chosen.forEach(drop);
    at("compose").reset();
    if (me) at("visibility").value = me.source.privacy;
    showWarning(false);
    showAnswered();
    showChosen();
  }

  async function send() {
    for (const one of chosen) {
      if (one.id) continue;
      const body = new FormData();
      body.append("file", one.file);
      if (one.description.trim()) body.append("description", one.description.trim());
      one.id = (await call("/api/v2/media", { method: "POST", body })).id;
    }
    const body = { status: at("text").value, visibility: at("visibility").value, media_ids: chosen.map(({ id }) => id) };
    if (!at("warning-field").hidden) body.spoiler_text = at("warning").value;
    if (answered) body.in_reply_to_id = answered.id;
    // What is sent again because nobody knows what became of it is one post; changed, it is another.
    const text = JSON.stringify(body);
    if (sent?.text !== text) sent = { text, key: crypto.randomUUID() };
    const status = await call("/api/v1/statuses", { method: "POST", body, headers: { "Idempotency-Key": sent.key } });
    reset();
    say(status.visibility === "direct" ? "Sent to those it names." : "");
    posted(status);
  }

  at("compose").addEventListener("submit", async (event) => {
    event.preventDefault();
    at("send").disabled = true;
    await attempt(send);
    at("send").disabled = false;
  });
  at("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("compose").requestSubmit();
  });
  at("warn").addEventListener("click", () => {
    showWarning(at("warning-field").hidden);
    if (!at("warning-field").hidden) at("warning").focus();
  });
  at("files").addEventListener("change", () => {
    const room = PICTURES_MAX - chosen.length;
    const files = [...at("files").files];
    if (files.length > room) say(`A post has at most ${PICTURES_MAX} pictures.`, true);
    for (const file of files.slice(0, room)) chosen.push({ file, address: URL.createObjectURL(file), description: "", id: null });
    at("files").value = "";
    showChosen();
  });
  at("answer-none").addEventListener("click", () => {
    answered = null;
    showAnswered();
  });

  return {
    begin(account) {
      me = account;
      reset();
    },
    reset() {
      me = null;
      reset();
    },
    answer(status) {
      answered = status;
      showAnswered();
      const names = [status.account, ...status.mentions].map(({ acct }) => acct).filter((acct) => acct !== me.acct);
      if (!at("text").value.trim()) at("text").value = [...new Set(names)].map((acct) => `@${acct} `).join("");
      at("visibility").value = status.visibility;
      if (status.spoiler_text) {
        showWarning(true);
        at("warning").value = status.spoiler_text;
      }
      at("text").focus();
      scrollTo({ top: 0 });
    },
  };
}
