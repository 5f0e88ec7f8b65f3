// Calls every method of Shlink's SDK against a running service and prints what came back, as JSON:
//
//     node calls.mjs BASE_URL API_KEY
//
// What a call is rejected with is printed as {"error": …}; a call that hangs is aborted.

import { ShlinkApiClient } from "@shlinkio/shlink-js-sdk";
import { NodeHttpClient } from "@shlinkio/shlink-js-sdk/node";

const [baseUrl, apiKey] = process.argv.slice(2);
const client = new ShlinkApiClient(new NodeHttpClient(), { baseUrl, apiKey });
const results = {};
const signal = AbortSignal.timeout(20_000);

async function call(name, made) {
  try {
    results[name] = (await made()) ?? null;
  } catch (error) {
    results[name] = { error: error instanceof Error ? String(error) : error };
  }
  return results[name];
}

async function visit(path, headers = {}) {
  await fetch(`${baseUrl}${path}`, { redirect: "manual", headers, signal });
}

const link = await call("createShortUrl", () =>
  client.createShortUrl({
    longUrl: "https://example.com/sdk",
    customSlug: "sdk-link",
    tags: ["sdk-one", "sdk-two"],
    title: "Made by the SDK",
    validSince: "2020-01-01T00:00:00+00:00",
    validUntil: "2090-01-01T00:00:00+00:00",
    maxVisits: 1000,
    crawlable: true,
    forwardQuery: false,
    signal,
  }),
);
const there = { shortCode: "sdk-link", domain: link.domain };
await call("createOnDomain", () =>
  client.createShortUrl({
    longUrl: "https://example.com/elsewhere",
    customSlug: "sdk-link",
    domain: "sdk.example",
    tags: ["sdk-one"],
    signal,
  }),
);
const elsewhere = { shortCode: "sdk-link", domain: "sdk.example" };
await call("slugTaken", () =>
  client.createShortUrl({ longUrl: "https://example.com/x", customSlug: "sdk-link", signal }),
);
await call("invalidUrl", () => client.createShortUrl({ longUrl: "nonsense", signal }));

await call("getShortUrl", () => client.getShortUrl(there, { signal }));
await call("getOnDomain", () => client.getShortUrl(elsewhere, { signal }));
await call("unknownLink", () => client.getShortUrl({ shortCode: "no-such-link" }, { signal }));
await call("updateShortUrl", () =>
  client.updateShortUrl(there, {
    longUrl: "https://example.com/changed",
    title: null,
    tags: ["sdk-one", "sdk-three"],
    validUntil: null,
    maxVisits: 500,
    signal,
  }),
);
await call("listShortUrls", () =>
  client.listShortUrls({
    page: "1",
    itemsPerPage: 5,
    searchTerm: "example.com/changed",
    tags: ["sdk-one", "sdk-three"],
    tagsMode: "all",
    excludeTags: ["sdk-two"],
    excludeTagsMode: "any",
    orderBy: { field: "visits", dir: "DESC" },
    startDate: "2020-01-01T00:00:00+00:00",
    endDate: "2090-01-01T00:00:00+00:00",
    excludeMaxVisitsReached: true,
    excludePastValidUntil: true,
    domain: "DEFAULT",
    signal,
  }),
);
await call("listOnDomain", () => client.listShortUrls({ domain: "sdk.example", signal }));
await call("listByKey", () =>
  client.listShortUrls({ apiKeyName: "no such key", itemsPerPage: 1, signal }),
);

await call("setShortUrlRedirectRules", () =>
  client.setShortUrlRedirectRules(there, {
    redirectRules: [
      {
        longUrl: "https://example.com/android",
        conditions: [
          { type: "device", matchKey: null, matchValue: "android" },
          { type: "language", matchKey: null, matchValue: "en-GB" },
        ],
      },
      {
        longUrl: "https://example.com/asked",
        conditions: [{ type: "query-param", matchKey: "foo", matchValue: "bar" }],
      },
    ],
    signal,
  }),
);
await call("getShortUrlRedirectRules", () => client.getShortUrlRedirectRules(there, { signal }));
await call("badRules", () =>
  client.setShortUrlRedirectRules(there, {
    redirectRules: [
      {
        longUrl: "https://example.com/",
        conditions: [{ type: "phase-of-moon", matchKey: null, matchValue: "full" }],
      },
    ],
    signal,
  }),
);

await visit("/sdk-link", { "user-agent": "Firefox/140.0", referer: "https://example.org/" });
await visit("/sdk-link", { "user-agent": "Googlebot/2.1" });
for (let tries = 0; tries < 100; tries++) {
  const { visitsSummary } = await client.getShortUrl(there, { signal });
  if (visitsSummary.total === 2) break;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await call("getShortUrlVisits", () =>
  client.getShortUrlVisits(there, {
    page: 1,
    itemsPerPage: 10,
    startDate: "2020-01-01T00:00:00+00:00",
    endDate: "2090-01-01T00:00:00+00:00",
    excludeBots: true,
    signal,
  }),
);
await call("getTagVisits", () => client.getTagVisits("sdk-three", { domain: "DEFAULT", signal }));
await call("getDomainVisits", () =>
  client.getDomainVisits("DEFAULT", { itemsPerPage: 3, signal }),
);
await call("getNonOrphanVisits", () => client.getNonOrphanVisits({ itemsPerPage: 2, signal }));
await call("getOrphanVisits", () =>
  client.getOrphanVisits({ type: "invalid_short_url", itemsPerPage: 2, signal }),
);
await call("getVisitsOverview", () => client.getVisitsOverview({ signal }));

await call("listTags", () => client.listTags({ signal }));
await call("tagsStats", () => client.tagsStats({ signal }));
await call("editTag", () =>
  client.editTag({ oldName: "sdk-three", newName: "sdk-renamed" }, { signal }),
);
await call("tagConflict", () =>
  client.editTag({ oldName: "sdk-renamed", newName: "sdk-one" }, { signal }),
);
await call("tagUnknown", () =>
  client.editTag({ oldName: "no-such-tag", newName: "sdk-four" }, { signal }),
);
await call("deleteTags", () => client.deleteTags(["sdk-one", "sdk-two"], { signal }));
await call("listTagsAfter", () => client.listTags({ signal }));

await call("editDomainRedirects", () =>
  client.editDomainRedirects({
    domain: "sdk.example",
    baseUrlRedirect: "https://example.com/base",
    invalidShortUrlRedirect: null,
    signal,
  }),
);
await call("listDomains", () => client.listDomains({ signal }));
await call("health", () => client.health({ signal }));
await call("mercureInfo", () => client.mercureInfo({ signal }));

await call("deleteShortUrlVisits", () => client.deleteShortUrlVisits(there, { signal }));
await call("deleteOrphanVisits", () => client.deleteOrphanVisits({ signal }));
await call("deleteShortUrl", () => client.deleteShortUrl(there, { signal }));
await call("deleteOnDomain", () => client.deleteShortUrl(elsewhere, { signal }));
await call("deletedIsGone", () => client.getShortUrl(there, { signal }));
await call("badKey", () =>
  new ShlinkApiClient(new NodeHttpClient(), { baseUrl, apiKey: "wrong" }).listTags({ signal }),
);

// The private methods are not names of the prototype, so this is every method there is.
const methods = Object.getOwnPropertyNames(ShlinkApiClient.prototype).filter(
  (name) => name !== "constructor",
);
console.log(JSON.stringify({ methods, results }));
