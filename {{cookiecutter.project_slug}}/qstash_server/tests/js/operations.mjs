// Every operation of the official JavaScript client, once.
//
//     node operations.mjs SERVER TOKEN DESTINATION CURRENT_KEY NEXT_KEY
//
// It prints one JSON object: what each operation answered. DESTINATION fails
// each request to /fail and takes the rest.
import { Client, Receiver } from "@upstash/qstash";

const [baseUrl, token, destination, current, next] = process.argv.slice(2);
const client = new Client({ baseUrl, token, enableTelemetry: false });
const receiver = new Receiver({
  currentSigningKey: current,
  nextSigningKey: next,
});
const far = "http://localhost:9/never";
const found = {};

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return [error.name, error.status];
  }
  return "not refused";
}

async function eventually(look) {
  for (;;) {
    const value = await look();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Publishing.
const published = await client.publish({
  url: `${destination}/publish?a=1&b=ü`,
  body: "hello",
  headers: { "X-Order": "7" },
  method: "PUT",
  label: "js",
});
found.published = published;
found.publishedJSON = await client.publishJSON({
  url: `${destination}/json`,
  body: { hello: "wörld" },
});
const options = { url: far, body: "same", delay: 3600, deduplicationId: "d" };
const first = await client.publish(options);
const second = await client.publish(options);
found.duplicate = [second.messageId === first.messageId, second.deduplicated];
const everything = await client.publish({
  url: far,
  notBefore: Math.floor(Date.now() / 1000) + 3600.4,
  retries: 5,
  retryDelay: "1000 * (1 + retried)",
  timeout: 1.5,
  callback: `${destination}/callback`,
  failureCallback: `${destination}/failure`,
  contentBasedDeduplication: true,
  flowControl: { key: "js-key", rate: 10, parallelism: 2, period: "1m" },
  label: "everything",
  redact: { body: true, header: ["Authorization"] },
});
found.message = await client.messages.get(everything.messageId);
found.batch = await client.batch([
  { url: `${destination}/batch`, body: "one" },
  { url: `${destination}/batch`, queueName: "js-batch", body: "two" },
]);
found.batchJSON = await client.batchJSON([
  { url: `${destination}/batch`, body: { three: 3 } },
]);

// URL groups.
await client.urlGroups.addEndpoints({
  name: "js-group",
  endpoints: [
    { url: `${destination}/one`, name: "one" },
    { url: `${destination}/two` },
  ],
});
found.group = (await client.urlGroups.get("js-group")).endpoints;
found.groups = (await client.urlGroups.list()).map((group) => group.name);
found.toGroup = await client.publish({ urlGroup: "js-group", body: "x" });
await client.urlGroups.removeEndpoints({
  name: "js-group",
  endpoints: [{ name: "one" }],
});
found.smaller = (await client.urlGroups.get("js-group")).endpoints;
await client.urlGroups.delete("js-group");
found.noGroup = await refused(() => client.urlGroups.get("js-group"));

// Queues.
const queue = client.queue({ queueName: "js-queue" });
await queue.upsert({ parallelism: 2 });
await queue.pause();
found.enqueued = await queue.enqueue({ url: `${destination}/queue` });
found.enqueuedJSON = await queue.enqueueJSON({
  url: `${destination}/queue`,
  body: { a: 1 },
});
const shown = await queue.get();
found.queue = [shown.name, shown.parallelism, shown.paused, shown.lag];
found.queues = (await queue.list()).map((one) => one.name);
await queue.resume();
await eventually(async () => (await queue.get()).lag === 0);
await queue.delete();
found.noQueue = await refused(() => queue.get());

// Schedules.
const schedule = await client.schedules.create({
  destination: far,
  cron: "*/10 * * * * ",
  body: "tick",
  scheduleId: "js-schedule",
  label: "js",
});
found.schedule = schedule;
await client.schedules.pause({ schedule: "js-schedule" });
const paused = await client.schedules.get("js-schedule");
found.paused = [paused.cron, paused.isPaused, paused.body, paused.queueName];
await client.schedules.resume({ schedule: "js-schedule" });
found.schedules = (await client.schedules.list()).map((one) => [
  one.scheduleId,
  one.isPaused,
]);
await client.schedules.delete("js-schedule");
found.noSchedule = await refused(() => client.schedules.get("js-schedule"));

// Dead letters.
async function give_up(count, label) {
  for (let n = 0; n < count; n += 1) {
    await client.publish({
      url: `${destination}/fail`,
      body: `${n}`,
      retries: 0,
      label,
    });
  }
  return eventually(async () => {
    const { messages } = await client.dlq.listMessages({ filter: { label } });
    return messages.length === count && messages;
  });
}
const letters = await give_up(6, "js-lost");
found.letter = [letters[0].responseStatus, letters[0].responseBody];
const page = await client.dlq.listMessages({
  count: 4,
  filter: { label: ["js-lost", "other"] },
});
const rest = await client.dlq.listMessages({
  cursor: page.cursor,
  filter: { label: "js-lost" },
});
found.pages = [page.messages.length, rest.messages.length, rest.cursor ?? null];
found.byId = (
  await client.dlq.listMessages({ dlqIds: [letters[1].dlqId] })
).messages.map((letter) => letter.body === letters[1].body);
found.deleted = [
  await client.dlq.delete(letters[0].dlqId),
  await client.dlq.deleteMany({ dlqIds: [letters[1].dlqId] }),
  await client.dlq.delete({ filter: { label: "nobody" } }),
];
found.deletedTwice = await refused(() => client.dlq.delete(letters[0].dlqId));
const retried = await client.dlq.retry(letters[2].dlqId);
const many = await client.dlq.retry({ dlqIds: [letters[3].dlqId] });
const none = await client.dlq.retry({ filter: { label: "nobody" } });
found.retried = [retried, many, none].map((answer) => [
  answer.responses.length,
  answer.cursor ?? null,
]);
found.typo = await refused(() =>
  client.dlq.listMessages({ filter: { lable: "x" } }),
);
await eventually(async () => (await client.dlq.delete({ all: true })).deleted);

// Logs.
const logs = await eventually(async () => {
  const answer = await client.logs({
    filter: { messageId: published.messageId },
  });
  return answer.logs[0].state === "DELIVERED" && answer.logs;
});
found.logs = logs.map((log) => log.state);
found.events = (
  await client.events({ messageIds: [published.messageId], count: 1 })
).events.map((event) => event.messageId === published.messageId);

// Flow control.
found.key = await client.flowControl.get("js-key");
await client.flowControl.pause("js-key");
await client.flowControl.pin("js-key", { rate: 3, period: 30 });
await client.flowControl.resetRate("js-key");
const pinned = await client.flowControl.get("js-key");
found.pinned = [pinned.isPaused, pinned.rateMax, pinned.isPinnedRate];
await client.flowControl.unpin("js-key", { rate: true });
await client.flowControl.resume("js-key");
const free = await client.flowControl.get("js-key");
found.unpinned = [free.isPaused, free.rateMax, free.isPinnedRate];
const { parallelismMax } = await client.flowControl.getGlobalParallelism();
found.parallelism = parallelismMax;

// Cancelling.
found.cancelled = [
  await client.messages.cancel(first.messageId),
  await client.messages.cancel([first.messageId, everything.messageId]),
  await client.messages.cancel([]),
];
found.gone = await refused(() => client.messages.get(first.messageId));
found.cancelledTwice = await refused(() =>
  client.messages.cancel(first.messageId),
);
const waiting = await client.publish({ url: far, delay: "1d", label: "x" });
found.byFilter = await client.messages.cancel({
  filter: { label: ["x", "y"], host: "localhost" },
});
await client.publish({ url: far, delay: "1d" });
// A callback, or a schedule whose minute has come, may wait beside it.
found.all = (await client.messages.deleteAll()) >= 1;
found.waiting = typeof waiting.messageId;

// Receiving: DESTINATION tells what it got, and the receiver judges it. One
// body is large, and one is signed by the key that a rotation has moved up.
const large = "ü".repeat(1_500_000);
await client.publish({ url: `${destination}/large`, body: large });
await fetch(`${baseUrl}/v2/keys/rotate`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}` },
});
await client.publish({ url: `${destination}/rotated`, body: "rotated" });
const received = await eventually(async () => {
  const all = await (await fetch(`${destination}/received`)).json();
  const targets = all.map((one) => one.target);
  return targets.includes("/large") && targets.includes("/rotated") && all;
});
found.verified = 0;
for (const one of received) {
  if (one.target === "/received") continue;
  const valid = await receiver.verify({
    signature: one.signature,
    body: one.body,
    url: destination + one.target,
  });
  if (!valid) throw new Error(`not valid: ${JSON.stringify(one)}`);
  found.verified += 1;
}
found.targets = [...new Set(received.map((one) => one.target))].sort();

console.log(JSON.stringify(found));
