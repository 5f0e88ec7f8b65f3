const { Router } = require("express");

const router = Router();
router.get("/", (req, res) => res.json([]));
router.get("/:orderId(\\d+)", (req, res) => res.json({ id: req.params.orderId }));
router
  .route("/recent")
  .post((req, res) => res.json({}))
  .get((req, res) => res.json([]));
router.delete("/:orderId", (req, res) => res.status(204).end());

module.exports = router;
