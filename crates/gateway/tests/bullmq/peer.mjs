// A BullMQ Queue that answers questions: one JSON array [method, ...arguments] a line in, one JSON value a line out.
// Settings come as one JSON argument: { version: 5 | 6, port, cluster, queue, prefix }
import { createInterface } from 'node:readline';
import { connection, load } from './bullmq.mjs';

const settings = JSON.parse(process.argv[2]);
const { Queue } = await load(settings.version);
const queue = new Queue(settings.queue, {
  connection: await connection(settings),
  prefix: settings.prefix ?? 'bull',
});
queue.on('error', () => {});
await queue.waitUntilReady();
console.log('"ready"');
for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line);
  let answer;
  try {
    answer = (await queue[method](...args)) ?? null;
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
process.exit(0);
