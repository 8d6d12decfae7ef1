//! Every instruction set against the portable lanes.
