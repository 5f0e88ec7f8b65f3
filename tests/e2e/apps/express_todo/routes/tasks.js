const { Router } = require('express');

const { pool } = require('../db');
const { isHoliday } = require('../holidays');
const { heldTransaction } = require('../mistakes');

const router = Router();

router.get('/search', async (req, res) => {
  const { q } = req.query;
  if (!q) return res.status(400).json({ error: 'what are you looking for?' });
  const { rows } = await pool.query(
    "SELECT id, title, done FROM tasks WHERE title ILIKE '%' || $1 || '%' ORDER BY id LIMIT 50",
    [q]);
  res.json(rows);
});

router.get('/:id', async (req, res) => {
  const { rows } = await pool.query(
    'SELECT id, list_id, title, done, due FROM tasks WHERE id = $1', [req.params.id]);
  if (rows.length === 0) return res.status(404).json({ error: 'no such task' });
  res.json(rows[0]);
});

router.post('/', async (req, res) => {
  const { list_id: listId, title } = req.body;
  if (!listId || !title) return res.status(400).json({ error: 'list_id and title, please' });
  const { rows } = await pool.query(
    'INSERT INTO tasks (list_id, title) VALUES ($1, $2) RETURNING id, list_id, title, done',
    [listId, title]);
  res.status(201).json(rows[0]);
});

// Tomorrow, or the first day after it that is no holiday.
async function nextWorkday() {
  const day = new Date();
  do {
    day.setUTCDate(day.getUTCDate() + 1);
  } while (await isHoliday(day.toISOString().slice(0, 10)));
  return day.toISOString().slice(0, 10);
}

router.post('/:id/postpone', async (req, res) => {
  if (heldTransaction) return postponeHolding(req, res);
  const due = await nextWorkday();
  const { rows } = await pool.query(
    'UPDATE tasks SET due = $2 WHERE id = $1 RETURNING id, title, due', [req.params.id, due]);
  if (rows.length === 0) return res.status(404).json({ error: 'no such task' });
  res.json(rows[0]);
});

async function postponeHolding(req, res) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query(
      'SELECT id, title FROM tasks WHERE id = $1 FOR UPDATE', [req.params.id]);
    const due = await nextWorkday();
    await client.query('UPDATE tasks SET due = $2 WHERE id = $1', [req.params.id, due]);
    await client.query('COMMIT');
    if (rows.length === 0) return res.status(404).json({ error: 'no such task' });
    res.json({ ...rows[0], due });
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

module.exports = router;
