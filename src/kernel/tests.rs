//! Tests across the kernels.
