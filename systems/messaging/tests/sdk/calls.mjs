// Drives the SDK of Matrix against a running server and prints what the clients came to know, as JSON:
//
//     node calls.mjs BASE_URL PASSWORD
//
// A step that takes too long, or that the server refuses unexpectedly, ends it with an error.

import * as sdk from "matrix-js-sdk";
import { CryptoEvent, decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { RustBackupManager } from "matrix-js-sdk/lib/rust-crypto/backup.js";

const [baseUrl, password] = process.argv.slice(2);
// What the SDK has to say of its own work is nobody's business here.
const nothing = () => {};
const logger = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
logger.getChild = () => logger;

// Many clients of a server are not to send their keys at once; here is one.
RustBackupManager.maxBackupLoopStartDelayMillis = 0;

const results = {};
const clients = [];

function within(promise, what) {
  return new Promise((done, failed) => {
    const alarm = setTimeout(() => failed(new Error(`timed out: ${what}`)), 15_000);
    promise.then(done, failed).finally(() => clearTimeout(alarm));
  });
}

// The first event of that name, on that emitter, that the check takes.
function heard(emitter, name, check = () => true) {
  return within(
    new Promise((done) => {
      function listener(...given) {
        if (check(...given)) {
          emitter.off(name, listener);
          done(given);
        }
      }
      emitter.on(name, listener);
    }),
    name,
  );
}

// A condition that no event tells of.
async function until(check, what) {
  let isLate = false;
  async function asked() {
    while (!isLate && !(await check())) await new Promise((done) => setTimeout(done, 20));
  }
  await within(asked(), what).finally(() => (isLate = true));
}

async function signedUp(name, options) {
  const anonymous = sdk.createClient({ baseUrl, logger });
  const auth = { type: "m.login.dummy" };
  const made = await anonymous.registerRequest({ username: name, password, auth });
  return client(made, options);
}

async function signedIn(name, options) {
  const anonymous = sdk.createClient({ baseUrl, logger });
  const identifier = { type: "m.id.user", user: name };
  const session = await anonymous.loginRequest({ type: "m.login.password", identifier, password });
  return client(session, options);
}

function client(session, options = {}) {
  const made = sdk.createClient({
    ...options,
    baseUrl,
    logger,
    userId: session.user_id,
    deviceId: session.device_id,
    accessToken: session.access_token,
  });
  clients.push(made);
  return made;
}

async function started(one) {
  const ready = heard(one, sdk.ClientEvent.Sync, (state) => state === "PREPARED");
  await one.startClient({ initialSyncLimit: 20, threadSupport: true });
  await ready;
  return one;
}

function message(body) {
  return (event) => event.getType() === "m.room.message" && event.getContent().body === body;
}

function bodies(room) {
  return room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.getType() === "m.room.message")
    .map((event) => event.getContent().body ?? null);
}

async function conversation() {
  const alice = await started(await signedUp("sdk-alice"));
  const bob = await started(await signedUp("sdk-bob"));
  results.whoami = (await bob.whoami()).user_id;
  const { room_id: roomId } = await alice.createRoom({
    name: "Tea",
    topic: "at four",
    preset: "private_chat",
  });
  const invited = heard(bob, sdk.RoomEvent.MyMembership, (room, now) => now === "invite");
  await alice.invite(roomId, bob.getUserId());
  results.invited = (await invited)[0].roomId === roomId;
  const joined = heard(bob, sdk.RoomEvent.MyMembership, (room, now) => now === "join");
  await bob.joinRoom(roomId);
  const [room] = await joined;
  results.name = room.name;

  const first = heard(bob, sdk.RoomEvent.Timeline, message("one"));
  const { event_id: one } = await alice.sendTextMessage(roomId, "one");
  const [heardFirst] = await first;
  results.sent = heardFirst.getId() === one;
  results.unread = room.getUnreadNotificationCount("total");
  results.members = room.getJoinedMembers().map((member) => member.userId).sort();

  const read = heard(alice, sdk.RoomEvent.Receipt, (event) => one in event.getContent());
  await bob.sendReadReceipt(heardFirst);
  await read;
  results.readUpTo = alice.getRoom(roomId).getEventReadUpTo(bob.getUserId());

  const typing = heard(alice, sdk.RoomMemberEvent.Typing, (event, member) => member.typing);
  await bob.sendTyping(roomId, true, 20_000);
  results.typing = (await typing)[1].userId;
  const quiet = heard(alice, sdk.RoomMemberEvent.Typing, (event, member) => !member.typing);
  await bob.sendTyping(roomId, false, 0);
  await quiet;

  const replied = heard(alice.getRoom(roomId), sdk.ThreadEvent.NewReply);
  const content = { msgtype: "m.text", body: "in the thread" };
  await bob.sendMessage(roomId, one, content);
  const [thread] = await replied;
  results.thread = [thread.id === one, thread.replyToEvent.getContent().body];

  const gone = heard(alice, sdk.RoomEvent.Redaction);
  const { event_id: mistake } = await bob.sendTextMessage(roomId, "a mistake");
  await bob.redactEvent(roomId, mistake);
  await gone;
  results.redacted = alice.getRoom(roomId).findEventById(mistake).isRedacted();

  // Offline, then caught up, on another device too.
  bob.stopClient();
  for (let n = 0; n < 30; n++) await alice.sendTextMessage(roomId, `late ${n}`);
  const phone = await started(await signedIn("sdk-bob"));
  results.phone = bodies(phone.getRoom(roomId)).slice(-3);
  await phone.scrollback(phone.getRoom(roomId), 100);
  results.history = bodies(phone.getRoom(roomId));

  const put = heard(phone, sdk.RoomEvent.MyMembership, (room, now) => now === "leave");
  await alice.kick(roomId, bob.getUserId(), "enough");
  await put;
  results.refused = await phone.sendTextMessage(roomId, "?").then(
    () => "sent",
    (error) => error.errcode,
  );
  results.devices = (await phone.getDevices()).devices.length;
  await phone.logout(true);
  results.loggedOut = await phone.whoami().then(
    () => "still in",
    (error) => error.errcode,
  );
}

// Two clients that encrypt for each other; the server sees nothing of what they say.
async function secret() {
  const carol = await signedUp("sdk-carol");
  const dave = await signedUp("sdk-dave");
  for (const one of [carol, dave]) {
    await one.initRustCrypto({ useIndexedDB: false });
    await started(one);
  }
  const joined = heard(carol, sdk.RoomMemberEvent.Membership, (event, member) => {
    return member.userId === dave.getUserId() && member.membership === "join";
  });
  const { room_id: roomId } = await carol.createRoom({
    preset: "trusted_private_chat",
    invite: [dave.getUserId()],
    initial_state: [
      {
        type: "m.room.encryption",
        state_key: "",
        content: { algorithm: "m.megolm.v1.aes-sha2" },
      },
    ],
  });
  await dave.joinRoom(roomId);
  await joined;
  const opened = heard(dave, sdk.MatrixEventEvent.Decrypted, message("for your eyes"));
  const { event_id: eventId } = await carol.sendTextMessage(roomId, "for your eyes");
  await opened;
  const raw = await dave.fetchRoomEvent(roomId, eventId);
  results.secret = [raw.type, "body" in raw.content];
}

// Somebody who loses every device but has written the recovery key down.
async function recovery() {
  let recoveryKey;
  const asked = [];
  const cryptoCallbacks = {
    getSecretStorageKey: async ({ keys }) => {
      asked.push("recovery key");
      return [Object.keys(keys)[0], decodeRecoveryKey(recoveryKey)];
    },
  };
  const erin = await signedUp("sdk-erin", { cryptoCallbacks });
  await erin.initRustCrypto({ useIndexedDB: false });
  await started(erin);
  const crypto = erin.getCrypto();
  await crypto.bootstrapCrossSigning({
    // The first keys want no password.
    authUploadDeviceSigningKeys: (makeRequest) => makeRequest(null),
  });
  const here = heard(erin, sdk.ClientEvent.Room);
  const { room_id: roomId } = await erin.createRoom({
    preset: "private_chat",
    initial_state: [
      {
        type: "m.room.encryption",
        state_key: "",
        content: { algorithm: "m.megolm.v1.aes-sha2" },
      },
    ],
  });
  await here;
  await erin.sendTextMessage(roomId, "note to myself");
  const backedUp = heard(erin, CryptoEvent.KeyBackupSessionsRemaining, (left) => left === 0);
  const made = await crypto.createRecoveryKeyFromPassphrase();
  recoveryKey = made.encodedPrivateKey;
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: async () => made,
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
  });
  await backedUp;
  results.backup = (await crypto.getKeyBackupInfo()).algorithm;
  // Gone, with all that it knew: the server never had it.
  await erin.logout(true);
  asked.length = 0;

  const later = await signedIn("sdk-erin", { cryptoCallbacks });
  await later.initRustCrypto({ useIndexedDB: false });
  await started(later);
  const userId = later.getUserId();
  const again = later.getCrypto();
  const status = async () => {
    const found = await again.getDeviceVerificationStatus(userId, later.getDeviceId());
    return found.crossSigningVerified;
  };
  results.known = await again.userHasCrossSigningKeys(userId, true);
  results.verifiedAtFirst = await status();
  await again.bootstrapCrossSigning({});
  // Signed by the key from the storage; the server verified that, and /sync tells of it.
  await until(status, "the new device to be verified");
  results.verified = true;
  results.askedFor = asked[0];
  const readable = heard(later, sdk.MatrixEventEvent.Decrypted, message("note to myself"));
  await again.loadSessionBackupPrivateKeyFromSecretStorage();
  const { imported, total } = await again.restoreKeyBackup();
  results.restored = [imported, total];
  await readable;
}

try {
  await Promise.all([conversation(), secret(), recovery()]);
  console.log(JSON.stringify(results));
} finally {
  for (const one of clients) one.stopClient();
}
process.exit(0);
