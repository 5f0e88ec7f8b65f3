// Runs the files of migrations/ that were not run yet, in order.
const fs = require('node:fs');
const path = require('node:path');

const { pool } = require('../db');
const { missingIndex } = require('../mistakes');

const folder = path.join(__dirname, '..', 'migrations');

async function main() {
  await pool.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)');
  const done = new Set((await pool.query('SELECT name FROM migrations')).rows.map((r) => r.name));
  for (const name of fs.readdirSync(folder).sort()) {
    if (done.has(name) || (missingIndex && name.startsWith('002'))) continue;
    await pool.query(fs.readFileSync(path.join(folder, name), 'utf8'));
    await pool.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
    console.log(`ran ${name}`);
  }
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
