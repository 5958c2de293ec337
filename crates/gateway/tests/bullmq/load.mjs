// BullMQ's own producer as fast as it goes, for comparison. Settings come as one JSON argument:
// { version: 5 | 6, port, queue, size, inFlight, seconds }; size 1 calls add, a larger one addBulk. Prints events a second.
import { connection, load } from './bullmq.mjs';

const { version, port, queue: name, size, inFlight, seconds } = JSON.parse(process.argv[2]);
const { Queue } = await load(version);
const queue = new Queue(name, { connection: await connection({ port }) });
await queue.waitUntilReady();
const opts = { priority: 5, attempts: 3, removeOnComplete: true, removeOnFail: { count: 1000 } };
let number = 0;
const job = () => ({
  name: 'telemetry-data',
  data: { type: 'telemetry-data', priority: 5, data: { number: number++ } },
  opts,
});
const send = async () => {
  if (size > 1) return queue.addBulk(Array.from({ length: size }, job));
  const { name, data, opts } = job();
  return queue.add(name, data, opts);
};
const sendUntil = async (end) => {
  while (performance.now() < end) await send();
};
const run = (ms) => {
  const end = performance.now() + ms;
  return Promise.all(Array.from({ length: inFlight }, () => sendUntil(end)));
};
await run(300); // Until the code is compiled.
const begun = performance.now();
const before = number;
await run(seconds * 1000);
console.log(((number - before) / (performance.now() - begun)) * 1000);
process.exit(0);
