const express = require('express');

const lists = require('./routes/lists');
const tasks = require('./routes/tasks');

const app = express();
app.use(express.json());

app.get('/health', (req, res) => res.json({ status: 'ok' }));
app.use('/lists', lists);
app.use('/tasks', tasks);

app.use((err, req, res, next) => {
  if (err.code === '23503') return res.status(422).json({ error: 'no such list' });
  if (err.code === '22P02') return res.status(400).json({ error: 'an id is a number' });
  console.error(err);
  res.status(500).json({ error: 'something went wrong' });
});

module.exports = app;
