//! The traits of handles that can be declared with `.with(...)`, and the edges that they declare.

use std::sync::Arc;

use super::shard::ShardScope;
use super::worker::WorkerScope;
use crate::topology::Edges;

/// A handle that an agent or a partition timer can declare with `.with(...)`: a table, global
/// table, view, inbox, topic, agent or clock, or a tuple of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be declared by an agent or a partition timer",
    label = "not a table, global table, view, inbox, topic, agent, clock, or a tuple of them",
    note = "declare what the handler uses: `.with(table)`, `.with((table, other.view(), users, topic))`"
)]
pub trait ShardWith: Copy + Send + Sync + 'static {
    /// The object that the handler gets for the handle.
    type Opened: Clone + 'static;

    #[doc(hidden)]
    fn declare(&self, uses: &mut Uses);

    #[doc(hidden)]
    #[allow(private_interfaces)] // only the library calls it
    fn open_in_shard(&self, shard: &ShardScope) -> Self::Opened;
}

/// A handle that a timer, task, source or web handler can use: a view, global table, inbox, topic,
/// agent or clock, or a tuple of handles.
///
/// A table itself is not one of them. Its slice belongs to a shard, and a timer runs outside
/// shards.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used outside a shard",
    label = "a timer, task, source or web handler cannot hold this",
    note = "a table's slice is read and written in its shard only: use `partition_timer`, or read the table through `.view()` and change it through `.inbox()`"
)]
pub trait WorkerWith: Copy + Send + Sync + 'static {
    /// The object that the handler gets for the handle.
    type Opened: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn declare(&self, uses: &mut Uses);

    #[doc(hidden)]
    #[allow(private_interfaces)] // only the library calls it
    fn open_on_worker(&self, worker: &WorkerScope) -> Self::Opened;
}

/// A handle that a [`Client`](crate::client::Client) can open: a view, inbox, topic or agent, or a
/// tuple of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used by a client",
    label = "a client cannot open this",
    note = "a client has no shards, and no copies of global tables: read a table through `.view()`, and change it through `.inbox()`"
)]
pub trait ClientWith: WorkerWith {}

/// The things that an agent or timer declared to use: its edges in the dataflow graph.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct Uses(pub(crate) Vec<Use>);

/// One edge of the dataflow graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reads and writes the table's slice of its own partition.
    Slice(Arc<str>),
    /// Reads committed rows of the whole table.
    View(Arc<str>),
    /// Reads the worker's copy of a global table.
    Copy(Arc<str>),
    /// Sends changes to the table's owners.
    Inbox(Arc<str>),
    /// Sends to a topic.
    Topic(Arc<str>),
}

impl Uses {
    /// Returns the edges, grouped by kind.
    pub(crate) fn edges(&self) -> Edges {
        let mut edges = Edges::default();
        for used in &self.0 {
            let (names, name) = match used {
                Use::Slice(name) => (&mut edges.slices, name),
                Use::View(name) => (&mut edges.views, name),
                Use::Copy(name) => (&mut edges.copies, name),
                Use::Inbox(name) => (&mut edges.inboxes, name),
                Use::Topic(name) => (&mut edges.topics, name),
            };
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        edges
    }
}

macro_rules! tuples {
    ($($name:ident $index:tt),*) => {
        impl<$($name: ShardWith),*> ShardWith for ($($name,)*) {
            type Opened = ($($name::Opened,)*);

            #[allow(unused_variables)]
            fn declare(&self, uses: &mut Uses) {
                $(self.$index.declare(uses);)*
            }

            #[allow(private_interfaces, unused_variables, clippy::unused_unit)]
            fn open_in_shard(&self, shard: &ShardScope) -> Self::Opened {
                ($(self.$index.open_in_shard(shard),)*)
            }
        }

        impl<$($name: ClientWith),*> ClientWith for ($($name,)*) {}

        impl<$($name: WorkerWith),*> WorkerWith for ($($name,)*) {
            type Opened = ($($name::Opened,)*);

            #[allow(unused_variables)]
            fn declare(&self, uses: &mut Uses) {
                $(self.$index.declare(uses);)*
            }

            #[allow(private_interfaces, unused_variables, clippy::unused_unit)]
            fn open_on_worker(&self, worker: &WorkerScope) -> Self::Opened {
                ($(self.$index.open_on_worker(worker),)*)
            }
        }
    };
}

tuples!();
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
