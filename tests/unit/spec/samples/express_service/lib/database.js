const { Pool } = require("pg");
const Redis = require("ioredis");

exports.pool = new Pool();
exports.redis = new Redis({
  host: process.env.REDIS_HOST || "localhost",
  port: process.env.REDIS_PORT,
});
