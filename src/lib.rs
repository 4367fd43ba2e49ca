//! Marlowe.
