//! The device models a guest sees, and the backends behind them.
