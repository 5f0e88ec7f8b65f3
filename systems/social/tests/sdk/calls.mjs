// Drives masto against a running server and prints what the clients came to know, as JSON:
//
//     node calls.mjs BASE_URL PICTURE
//
// What takes too long, or what the server refuses unexpectedly, ends it with an error.

import { openAsBlob } from "node:fs";

import {
  createOAuthAPIClient,
  createRestAPIClient,
  createStreamingAPIClient,
  MastoHttpError,
} from "masto";

const [url, picture] = process.argv.slice(2);
const scopes = "read write follow";
const redirectUri = "urn:ietf:wg:oauth:2.0:oob";
const results = {};
const streams = [];

function within(promise, what) {
  return new Promise((done, failed) => {
    const alarm = setTimeout(() => failed(new Error(`timed out: ${what}`)), 15_000);
    promise.then(done, failed).finally(() => clearTimeout(alarm));
  });
}

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof MastoHttpError)) throw error;
    return [error.statusCode, error.message, error.details ?? null];
  }
  return "not refused";
}

async function signedUp(username) {
  const anonymous = createRestAPIClient({ url });
  const app = await anonymous.v1.apps.create({
    clientName: "masto",
    redirectUris: redirectUri,
    scopes,
    website: "https://client.example/",
  });
  const oauth = createOAuthAPIClient({ url });
  const credentials = { clientId: app.clientId, clientSecret: app.clientSecret };
  const ofApp = await oauth.token.create({
    ...credentials,
    grantType: "client_credentials",
    redirectUri,
    scope: scopes,
  });
  const app_ = createRestAPIClient({ url, accessToken: ofApp.accessToken });
  const asked = { username, email: `${username}@mail.example`, agreement: true, locale: "en" };
  results.tooShort ??= await refusal(app_.v1.accounts.create({ ...asked, password: "short" }));
  const token = await app_.v1.accounts.create({ ...asked, password: "a long password" });
  const api = createRestAPIClient({ url, accessToken: token.accessToken });
  return {
    api,
    me: await api.v1.accounts.verifyCredentials(),
    token: token.accessToken,
    revoke: () => oauth.revoke({ ...credentials, token: token.accessToken }),
  };
}

async function listening(who) {
  const { configuration } = await who.api.v2.instance.fetch();
  const client = createStreamingAPIClient({
    streamingApiUrl: configuration.urls.streaming,
    accessToken: who.token,
    retry: false,
  });
  streams.push(client);
  await within(client.prepare(), "a WebSocket");
  return client;
}

// The first event of that kind in a stream. It subscribes at once; the returned function waits.
function heard(subscription, kind, check = () => true) {
  const found = (async () => {
    for await (const event of subscription) {
      if (event.event === kind && check(event.payload)) return event;
    }
    throw new Error(`the stream ended without ${kind}`);
  })();
  found.catch(() => {});
  return () => within(found, kind);
}

// A server answers a subscription with what happens from then on, and with nothing else. Whatever
// is written too early is written again, under a name that the check does not mind.
async function untilHeard(waiting, act) {
  const event = waiting();
  let there = false;
  event.finally(() => (there = true)).catch(() => {});
  const acts = [];
  while (!there) {
    acts.push(await act());
    for (let n = 0; n < 8 && !there; n++) await new Promise((go) => setTimeout(go, 25));
  }
  return [await event, acts];
}

async function eventually(read, check) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await read();
    if (check(found)) return found;
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${read}`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

const anonymous = createRestAPIClient({ url });
const instance = await anonymous.v2.instance.fetch();
results.instance = [instance.domain, instance.configuration.statuses.maxMediaAttachments];

const [ann, bob] = await Promise.all([signedUp("masto_ann"), signedUp("masto_bob")]);
results.names = [ann.me.acct, bob.me.acct];
results.found = (await bob.api.v1.accounts.lookup({ acct: "masto_ann" })).id === ann.me.id;
const changed = await ann.api.v1.accounts.updateCredentials({
  displayName: "Ann",
  note: "Hello",
  fieldsAttributes: [{ name: "Pronouns", value: "she" }],
  avatar: await openAsBlob(picture, { type: "image/jpeg" }),
});
results.profile = [
  changed.displayName,
  changed.source.note,
  changed.fields[0].name,
  changed.avatar.endsWith(".jpg"),
];

const followed = await bob.api.v1.accounts.$select(ann.me.id).follow({ notify: true });
results.follows = [followed.following, followed.notifying];
const related = await ann.api.v1.accounts.relationships.fetch({ id: [bob.me.id] });
results.followedBy = related[0].followedBy;

// Streams are listened to from here on.
const [annStreams, bobStreams] = await Promise.all([listening(ann), listening(bob)]);

const media = await ann.api.v2.media.create({
  file: await openAsBlob(picture, { type: "image/jpeg" }),
  description: "A slope of colors",
  focus: "0.5,-0.5",
});
results.media = [media.type, media.description, media.meta.original, media.meta.focus];
const post = await ann.api.v1.statuses.create({
  status: "A quokka, for #Masto",
  mediaIds: [media.id],
  language: "en",
});
results.post = [
  post.mediaAttachments[0].id === media.id,
  post.tags[0].name,
  post.application.name,
  post.account.id === ann.me.id,
];
const home = await eventually(
  () => bob.api.v1.timelines.home.list({ limit: 5 }),
  (page) => page.length > 0,
);
results.home = home.map((status) => status.id === post.id);

const reply = await bob.api.v1.statuses.create({
  status: "@masto_ann How nice",
  inReplyToId: post.id,
  visibility: "unlisted",
});
const context = await ann.api.v1.statuses.$select(post.id).context.fetch();
results.context = context.descendants.map((status) => status.id === reply.id);

const ofPost = bob.api.v1.statuses.$select(post.id);
results.marked = [
  (await ofPost.favourite()).favourited,
  (await ofPost.reblog()).reblog.id === post.id,
  (await ofPost.bookmark()).bookmarked,
];
results.counts = await ofPost
  .fetch()
  .then((seen) => [seen.favouritesCount, seen.reblogsCount, seen.repliesCount]);
results.lists = [
  (await bob.api.v1.favourites.list()).map((status) => status.id === post.id),
  (await bob.api.v1.bookmarks.list()).map((status) => status.id === post.id),
  (await ofPost.favouritedBy.list()).map((account) => account.acct),
  (await ofPost.rebloggedBy.list()).map((account) => account.acct),
];
const told = await ann.api.v1.notifications.list();
results.told = told.map((one) => [one.type, one.account.acct, one.status?.id === post.id]);
const onlyMentions = await ann.api.v1.notifications.list({ types: ["mention"] });
results.mentions = onlyMentions.map((one) => one.status.id === reply.id);
results.unread = (await ann.api.v1.notifications.unreadCount.fetch()).count;
await ann.api.v1.markers.create({ notifications: { lastReadId: told[0].id } });
const markers = await ann.api.v1.markers.fetch({ timeline: ["notifications"] });
results.marker = markers.notifications.lastReadId === told[0].id;
results.read = (await ann.api.v1.notifications.unreadCount.fetch()).count;
await ann.api.v1.notifications.$select(told[0].id).dismiss();
await ann.api.v1.notifications.clear();
results.cleared = await ann.api.v1.notifications.list();

// A list.
const made = await bob.api.v1.lists.create({ title: "Friends" });
await bob.api.v1.lists.$select(made.id).accounts.create({ accountIds: [ann.me.id] });
results.list = [
  (await bob.api.v1.lists.list()).map((list) => list.title),
  (await bob.api.v1.lists.$select(made.id).accounts.list()).map((account) => account.acct),
  (await bob.api.v1.timelines.list.$select(made.id).list()).map((status) => status.id === post.id),
  (await bob.api.v1.lists.$select(made.id).update({ title: "Close friends" })).title,
];
await bob.api.v1.lists.$select(made.id).accounts.remove({ accountIds: [ann.me.id] });
results.leftInList = await bob.api.v1.lists.$select(made.id).accounts.list();

// Search.
const found = await bob.api.v2.search.list({ q: "quokka" });
results.search = [
  found.statuses.map((status) => status.id === post.id),
  (await bob.api.v2.search.list({ q: "masto_", type: "accounts" })).accounts.length,
  (await bob.api.v2.search.list({ q: "#mast", type: "hashtags" })).hashtags.map((tag) => tag.name),
];
results.tagged = (await anonymous.v1.timelines.tag.$select("masto").list()).length;

// Pages, forward by the Link header.
for (let n = 0; n < 5; n++) await ann.api.v1.statuses.create({ status: `number ${n}` });
const pages = [];
for await (const page of bob.api.v1.accounts.$select(ann.me.id).statuses.list({ limit: 4 })) {
  pages.push(page.map((status) => status.content));
}
results.pages = pages;

// A filter, told to the streams.
const filterChanged = heard(bobStreams.user.subscribe(), "filters_changed");
let filter;
const [, filters] = await untilHeard(filterChanged, () =>
  bob.api.v2.filters.create({
    title: "Animals",
    context: ["home", "public"],
    filterAction: "warn",
    keywordsAttributes: [{ keyword: "quokka", wholeWord: true }],
  }),
);
[filter] = filters;
for (const one of filters.slice(1)) await bob.api.v2.filters.$select(one.id).remove();
const { filtered } = await ofPost.fetch();
results.filter = [filter.title, filtered.map((one) => [one.filter.title, one.keywordMatches])];
const keyword = await bob.api.v2.filters
  .$select(filter.id)
  .keywords.create({ keyword: "wombat", wholeWord: false });
results.keywords = (await bob.api.v2.filters.$select(filter.id).fetch()).keywords.map(
  (one) => one.keyword,
);
await bob.api.v2.filters.keywords.$select(keyword.id).remove();
const hidden = await bob.api.v2.filters.$select(filter.id).statuses.create({ statusId: post.id });
results.filteredStatus = hidden.statusId === post.id;
await bob.api.v2.filters.$select(filter.id).remove();
results.filters = await bob.api.v2.filters.list();

// Streams: of one's home, of a hashtag, of a list, of conversations.
const update = heard(bobStreams.user.subscribe(), "update", (status) =>
  status.content.includes("live"),
);
const [live] = await untilHeard(update, () => ann.api.v1.statuses.create({ status: "live" }));
results.update = [live.stream, live.payload.account.acct];
const notice = heard(annStreams.user.notification.subscribe(), "notification");
const [noticed] = await untilHeard(notice, () =>
  bob.api.v1.statuses.create({ status: "@masto_ann look" }),
);
results.notification = [noticed.payload.type, noticed.payload.status.account.acct];
const tagged = heard(annStreams.hashtag.subscribe({ tag: "wombats" }), "update");
const [ofTag] = await untilHeard(tagged, () =>
  bob.api.v1.statuses.create({ status: "some #Wombats" }),
);
results.hashtag = [ofTag.stream, ofTag.payload.tags[0].name];
const direct = heard(annStreams.direct.subscribe(), "conversation");
const [talk] = await untilHeard(direct, () =>
  bob.api.v1.statuses.create({ status: "@masto_ann psst", visibility: "direct" }),
);
results.conversation = talk.payload.accounts.map((account) => account.acct);
const edited = heard(bobStreams.user.subscribe(), "status.update");
let version = 0;
const [edit] = await untilHeard(edited, () =>
  ann.api.v1.statuses
    .$select(post.id)
    .update({ status: `A quokka, version ${++version}`, mediaIds: [media.id] }),
);
results.edited = [edit.payload.id === post.id, edit.payload.mediaAttachments.length];
results.history = (await ofPost.history.list())[0].content.includes("A quokka, for");

// Undone, refused, gone.
results.unmarked = [
  (await ofPost.unfavourite()).favourited,
  (await ofPost.unreblog()).reblogged,
  (await ofPost.unbookmark()).bookmarked,
];
results.notMine = await refusal(ofPost.remove());
const deleted = heard(bobStreams.user.subscribe(), "delete", (id) => id === post.id);
const gone = deleted();
await ann.api.v1.statuses.$select(post.id).remove();
await gone;
results.gone = await refusal(ofPost.fetch());
results.unfollowed = (await bob.api.v1.accounts.$select(ann.me.id).unfollow()).following;
await bob.revoke();
results.revoked = await refusal(bob.api.v1.accounts.verifyCredentials());

for (const one of streams) one.close();
console.log(JSON.stringify(results));
process.exit(0);
