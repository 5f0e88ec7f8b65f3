const express = require("express");
const orders = require("./routes/orders");
const { pool } = require("./lib/database");

const app = express();
app.use(express.json());
app.use("/api/orders", orders);
app.use("/api/admin", require("./routes/admin"));

// app.get("/commented-out", handler);
app.get("/health", async (req, res) => {
  await pool.query("SELECT 1");
  res.json({ ok: true });
});
app.post("/login", (req, res) => res.json({}));

app.listen(process.env.HTTP_PORT || 3000);
