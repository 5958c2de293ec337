// An unmodified BullMQ worker. Settings come as one JSON argument:
// { version: 5 | 6, port, cluster, queue, prefix, concurrency, serviceMs, name }
import { setTimeout as sleep } from 'node:timers/promises';
import { connection, load } from './bullmq.mjs';

const settings = JSON.parse(process.argv[2]);
const { Worker } = await load(settings.version);
const worker = new Worker(
  settings.queue,
  async () => {
    if (settings.serviceMs > 0) await sleep(settings.serviceMs);
  },
  {
    connection: await connection(settings, { maxRetriesPerRequest: null }),
    prefix: settings.prefix ?? 'bull',
    concurrency: settings.concurrency ?? 20,
    name: settings.name,
    // Short, so that jobs of a worker or a Redis that was killed come back while a test waits.
    lockDuration: settings.lockMs ?? 30000,
    stalledInterval: settings.lockMs ?? 30000,
    maxStalledCount: 1000,
  },
);
worker.on('error', () => {}); // Redis is killed on purpose.
await worker.waitUntilReady();
console.log('ready');
