const { Pool } = require('pg');

// The address is in PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE.
const pool = new Pool({ max: Number(process.env.PG_POOL_MAX || 10) });

module.exports = { pool };
