// Mistakes that people make, to be switched on one by one for talks and tests:
// MISTAKES=n-plus-one,missing-index,held-transaction
const mistakes = new Set((process.env.MISTAKES || '').split(','));

module.exports = {
  nPlusOne: mistakes.has('n-plus-one'), // GET /lists counts the tasks of each list by itself
  missingIndex: mistakes.has('missing-index'), // tasks are not indexed by their list
  heldTransaction: mistakes.has('held-transaction'), // holidays are asked for inside one
};
