const { Router } = require('express');

const { pool } = require('../db');
const { cached } = require('../cache');
const { nPlusOne } = require('../mistakes');

const router = Router();

router.get('/', async (req, res) => {
  if (nPlusOne) {
    const { rows } = await pool.query('SELECT id, title FROM lists ORDER BY id LIMIT 20');
    for (const list of rows) {
      const counted = await pool.query(
        'SELECT count(*)::int AS tasks FROM tasks WHERE list_id = $1', [list.id]);
      list.tasks = counted.rows[0].tasks;
    }
    return res.json(rows);
  }
  const { rows } = await pool.query(
    `SELECT l.id, l.title, count(t.id)::int AS tasks
       FROM (SELECT id, title FROM lists ORDER BY id LIMIT 20) l
       LEFT JOIN tasks t ON t.list_id = l.id
      GROUP BY l.id, l.title ORDER BY l.id`);
  res.json(rows);
});

router.get('/:id', async (req, res) => {
  const { rows } = await pool.query('SELECT id, title FROM lists WHERE id = $1', [req.params.id]);
  if (rows.length === 0) return res.status(404).json({ error: 'no such list' });
  const open = await cached(`open:${req.params.id}`, 10, async () => {
    const counted = await pool.query(
      'SELECT count(*)::int AS open FROM tasks WHERE list_id = $1 AND NOT done', [req.params.id]);
    return counted.rows[0].open;
  });
  res.json({ ...rows[0], open });
});

router.get('/:id/tasks', async (req, res) => {
  const { rows } = await pool.query(
    'SELECT id, title, done, due FROM tasks WHERE list_id = $1 ORDER BY id LIMIT 100',
    [req.params.id]);
  res.json(rows);
});

router.post('/', async (req, res) => {
  const { title } = req.body;
  if (!title) return res.status(400).json({ error: 'a list needs a title' });
  const { rows } = await pool.query(
    'INSERT INTO lists (title) VALUES ($1) RETURNING id, title', [title]);
  res.status(201).json(rows[0]);
});

module.exports = router;
