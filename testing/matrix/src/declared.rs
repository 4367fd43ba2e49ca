//! The topics and tables of the program, and the agent that answers.

use std::sync::Arc;

use marlowe::{App, GlobalTable, Table, Topic};

use crate::calls::Calls;
use crate::input::Input;
use crate::notes::Notes;
use crate::picky::Picky;
use crate::rows::{List, append};
use crate::shape::Shape;

/// The declared parts that agents, timers and the run use.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) inputs: Topic<String, Input>,
    pub(crate) outputs: Topic<String, u64>,
    /// The topic of dead letters.
    pub(crate) dead: Topic<String, Input>,
    pub(crate) table: Table<String, List>,
    pub(crate) others: Table<String, List>,
    pub(crate) global: GlobalTable<String, List>,
    pub(crate) groups: Table<String, List>,
    pub(crate) calls: Option<Calls>,
}

impl Declared {
    /// Declares the topics and tables, and the agent that answers if the shape has calls.
    pub(crate) fn new(app: &mut App, shape: &Shape, notes: &Arc<Notes>) -> Self {
        let inputs = app.topic::<String, Input>("inputs");
        let mut outputs = app.topic::<String, u64>("outputs");
        if shape.has_transactional_outputs {
            outputs = outputs.transactional();
        }
        let dead = app.topic::<String, Input>("dead");
        let table = app.table::<String, List>("table").codec(Picky).cache_rows(shape.cache_rows);
        let others = app.table::<String, List>("others").merge(append).cache_rows(shape.cache_rows);
        let global = app.global_table::<String, List>("global").merge(append);
        let groups = app.table::<String, List>("groups").cache_rows(shape.cache_rows);
        let calls = shape.has_calls.then(|| Calls::declare(app, shape, inputs, notes));
        Self { inputs, outputs, dead, table, others, global, groups, calls }
    }
}
