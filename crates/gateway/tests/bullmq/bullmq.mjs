// Either version of BullMQ, and its connection to one Redis or to a cluster.
export function load(version) {
  return import(version === 5 ? 'bullmq5' : 'bullmq');
}

export async function connection({ port, cluster }, options = {}) {
  if (!cluster) return { host: '127.0.0.1', port, ...options };
  const { Cluster } = await import('ioredis');
  return new Cluster([{ host: '127.0.0.1', port }], { redisOptions: options });
}
