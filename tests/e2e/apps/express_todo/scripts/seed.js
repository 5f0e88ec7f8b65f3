// Fills an empty database: node scripts/seed.js [LISTS], ten tasks each.
const { pool } = require('../db');

const lists = Number(process.argv[2] || 40);

async function main() {
  await pool.query(
    "INSERT INTO lists (title) SELECT 'List ' || n FROM generate_series(1, $1::int) n", [lists]);
  await pool.query(
    `INSERT INTO tasks (list_id, title, done)
     SELECT 1 + n % $1::int, 'Task ' || n, n % 3 = 0 FROM generate_series(1, 10 * $1::int) n`,
    [lists]);
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
