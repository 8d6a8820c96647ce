"""Which features forecast the price, measured: walk-forward calibration of the drift filter (section 8 of MODEL.md)."""
