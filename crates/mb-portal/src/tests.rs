//! The router as browsers see it.
