//! The check that dead letters do not go round in a circle, because a record that fails for good
//! would then go round for ever.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::error::TopologyError;
use super::graph::{AgentNode, AgentRole, Graph};

/// A step that a failing record takes without a handler in between, so that its bytes stay the
/// same.
struct RecordStep<'a> {
    agent: &'a AgentNode,
    kind: Kind,
    to: &'a Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    DeadLetter,
    /// A `group_by` sends the record on under another key.
    GroupBy,
}

impl RecordStep<'_> {
    fn from(&self) -> &Arc<str> {
        &self.agent.reads
    }

    /// Describes the step: "agent `a` reads `x` and sends what fails to `y`".
    fn said(&self) -> String {
        let AgentNode { name, reads, .. } = self.agent;
        let who = match self.agent.role {
            AgentRole::Declared => format!("agent `{name}` reads `{reads}`"),
            AgentRole::Repartition => format!("the group_by `{name}` reads `{reads}`"),
            AgentRole::Inbox => format!("`{name}` applies the changes in `{reads}`"),
        };
        match self.kind {
            Kind::DeadLetter => format!("{who} and sends what fails to `{}`", self.to),
            Kind::GroupBy => format!("{who} and sends it on to `{}`", self.to),
        }
    }
}

/// Checks that dead letters do not lead back to their source by dead letters (and the `group_by`s
/// between them) alone. A handler may send a dead letter back for another attempt, because the
/// handler decides when that ends.
pub(super) fn check_dead_letters(graph: &Graph) -> Result<(), TopologyError> {
    let dead_letters = graph.agents.iter().filter_map(|agent| {
        let to = agent.dead_letter.as_ref()?;
        Some(RecordStep { agent, kind: Kind::DeadLetter, to })
    });
    let group_bys = graph.agents.iter().filter(|agent| agent.role == AgentRole::Repartition).flat_map(|agent| {
        let targets = agent.edges.topics.iter().filter(|topic| Some(*topic) != agent.dead_letter.as_ref());
        targets.map(move |to| RecordStep { agent, kind: Kind::GroupBy, to })
    });
    let steps: Vec<RecordStep<'_>> = dead_letters.chain(group_bys).collect();
    // A circle is described from the program's own agents, if one of them is in it.
    let begins = |role: AgentRole| {
        let of_role = steps.iter().filter(move |step| step.agent.role == role);
        of_role.filter(|step| step.kind == Kind::DeadLetter)
    };
    let all = begins(AgentRole::Declared).chain(begins(AgentRole::Inbox)).chain(begins(AgentRole::Repartition));
    for first in all {
        if let Some(back) = way(&steps, first.to, first.from()) {
            let circle = std::iter::once(first).chain(back).map(RecordStep::said).collect();
            return Err(TopologyError::DeadLetterCircle { circle });
        }
    }
    Ok(())
}

/// Returns the shortest way from one topic to another, if there is one.
fn way<'a>(steps: &'a [RecordStep<'a>], from: &'a Arc<str>, to: &Arc<str>) -> Option<Vec<&'a RecordStep<'a>>> {
    let mut came_by: BTreeMap<&Arc<str>, Option<&RecordStep<'_>>> = BTreeMap::from([(from, None)]);
    let mut waiting = VecDeque::from([from]);
    while let Some(topic) = waiting.pop_front() {
        if topic == to {
            let mut way = Vec::new();
            let mut at = topic;
            while let Some(Some(step)) = came_by.get(at) {
                way.push(*step);
                at = step.from();
            }
            way.reverse();
            return Some(way);
        }
        for step in steps.iter().filter(|step| step.from() == topic) {
            came_by.entry(step.to).or_insert_with(|| {
                waiting.push_back(step.to);
                Some(step)
            });
        }
    }
    None
}
