"""The ledger of predictions: foretold, made for real, scored. `make ledger`."""
