//! The rules of the design, each with tests that fail without what upholds it, on the embedded broker.

mod at_least_once;
mod atomic_events;
mod concurrency;
mod exactly_once;
mod ownership;
mod scene;
mod streams;
