//! An empty crate, whose tests check that misuses of Marlowe do not compile.
