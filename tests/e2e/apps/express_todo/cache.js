const Redis = require('ioredis');

const redis = new Redis(process.env.REDIS_URL || 'redis://localhost:6379');

/** What is kept under `key`, or what `make` returns, kept for `seconds`. */
async function cached(key, seconds, make) {
  const kept = await redis.get(key);
  if (kept !== null) return JSON.parse(kept);
  const made = await make();
  await redis.set(key, JSON.stringify(made), 'EX', seconds);
  return made;
}

module.exports = { redis, cached };
