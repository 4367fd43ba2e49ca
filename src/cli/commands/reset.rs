//! The command `reset`: deletes what a program keeps, so that it starts from the beginning.

use std::path::PathBuf;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, Partition, SharedBroker, TopicPartition};
use serde::Serialize;

use crate::cli::console::{Console, Style};
use crate::cli::error::CliError;
use crate::cli::options::ResetArguments;
use crate::cli::stopped::check_stopped;
use crate::cli::store::{has_broker, has_topics, partitions};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::error::RunError;
use crate::prepare::{beginnings, check_owner};
use crate::program::Program;
use crate::restore::TablesFolder;
use crate::running::open_broker;
use crate::topology::{TopicRole, Topology, list_topic};

/// The answer of the command: what it deletes, and what it keeps.
#[derive(Debug, Serialize)]
struct ResetPlan {
    app: Arc<str>,
    /// `true` if it was done, `false` if it is only announced.
    done: bool,
    /// The topics that are deleted, with their records.
    topics: Vec<Arc<str>>,
    /// The topics that are kept, and are read from their start again.
    read_again: Vec<Arc<str>>,
    /// The folders of tables that are deleted.
    folders: Vec<PathBuf>,
    /// The topics that are kept, with their records.
    kept: Vec<Arc<str>>,
    /// The topic whose owner is the leader.
    #[serde(skip)]
    leader_anchor: Arc<str>,
}

/// Runs the command `reset`.
pub(crate) async fn reset(
    program: &Program,
    asked: ResetArguments,
    config: &Config,
    console: &Console,
) -> Result<(), CliError> {
    if !has_topics(config) {
        return Err(CliError::Usage(
            "without --data-dir nothing is kept, so there is nothing to reset: give the program's --data-dir, or its \
             --broker"
                .into(),
        ));
    }
    let mut plan = ResetPlan {
        app: program.app.clone(),
        done: false,
        topics: Vec::new(),
        read_again: Vec::new(),
        folders: match &config.data_dir {
            Some(path) => DataFolder::look(path, &program.app)?.tables()?,
            None => Vec::new(),
        },
        kept: Vec::new(),
        leader_anchor: "".into(),
    };
    // The folders are locked until they are deleted, so no worker can use them.
    let locks: Result<Vec<_>, RunError> = plan.folders.iter().map(|folder| TablesFolder::take(folder)).collect();
    let locks = locks?;
    let mut broker = None;
    if has_broker(config) {
        let opened = open_broker(&program.app, config).await?;
        plan.find_topics(program, &opened, asked).await?;
        broker = Some(opened);
    }
    if asked.yes {
        if let Some(broker) = &broker {
            plan.delete_topics(program, broker).await?;
        }
        for folder in &plan.folders {
            let removed = std::fs::remove_dir_all(folder);
            removed.map_err(CliError::system(format!("delete {}", folder.display())))?;
        }
        plan.done = true;
    }
    drop(locks);
    console.answer(&plan, || plan.text(console));
    Ok(())
}

impl ResetPlan {
    /// Finds which of the program's topics exist, and checks that they are this app's.
    async fn find_topics(
        &mut self,
        program: &Program,
        broker: &SharedBroker,
        asked: ResetArguments,
    ) -> Result<(), CliError> {
        let existing = partitions(broker).await?;
        let graph = program.graph();
        // The existing partition counts are left out. If they do not fit the program any more, the
        // program needs this reset.
        let topology = Topology::resolve(graph, &Default::default())?;
        check_owner(&topology, &**broker).await?;
        let (own, internal): (Vec<_>, Vec<_>) =
            topology.graph.topics.iter().partition(|topic| topic.role == TopicRole::Declared);
        let own: Vec<Arc<str>> = own.into_iter().map(|topic| topic.name.clone()).collect();
        // The places logs come first. As long as they exist, agents continue where they were, with
        // the tables that exist. A places log may belong to a group that had another name in an
        // earlier version of the program.
        let names = topology.graph.tables.iter().map(|table| &table.name);
        let names = names.chain(topology.graph.topics.iter().map(|topic| &topic.name));
        let mut deleted: Vec<Arc<str>> = names.map(|name| topology.places_log_of(name)).collect();
        deleted.extend(internal.into_iter().map(|topic| topic.name.clone()));
        deleted.extend(topology.groups.iter().map(|group| topology.anchor(group)));
        self.leader_anchor = topology.leader_anchor();
        deleted.push(self.leader_anchor.clone());
        deleted.push(list_topic(&program.app));
        // The position of a source belongs to the topic that it feeds. It is kept if that topic is
        // kept, because the source would otherwise feed the same records again.
        let positions = program.worker_timers.iter().filter_map(|timer| timer.position(&program.app));
        let sources = positions.map(|position| position.topic);
        if asked.all_topics {
            deleted.extend(sources);
            deleted.extend(own);
        } else {
            self.kept.extend(own.into_iter().chain(sources).filter(|topic| existing.contains_key(topic)));
            for topic in self.kept.iter().filter(|topic| graph_reads(&topology, topic)) {
                self.read_again.push(topic.clone());
            }
        }
        deleted.retain(|topic| existing.contains_key(topic));
        self.topics = deleted;
        Ok(())
    }

    async fn delete_topics(&self, program: &Program, broker: &SharedBroker) -> Result<(), RunError> {
        if self.topics.contains(&self.leader_anchor) {
            check_stopped(broker, &self.app, &self.leader_anchor).await?;
        }
        // Positions come first. If the reset is interrupted after that, the program processes its
        // input again from the start, and skips nothing.
        for topic in &self.read_again {
            let failed = || RunError::broker(format!("setting the positions in `{topic}` to its start"));
            let description = broker.topic(topic).await.map_err(failed())?;
            let all: Vec<Partition> = Partition::all(description.map_or(0, |topic| topic.partitions)).collect();
            // Tables that were taken over from a Faust app will be taken over again, so agents
            // continue where that app was.
            let starts = beginnings(program.takes_over().as_deref(), &**broker, topic, &all).await?;
            let start = |(partition, offset): (Partition, Offset)| {
                (TopicPartition { topic: topic.clone(), partition }, CommittedOffset::from(offset))
            };
            let starts: Vec<_> = all.into_iter().zip(starts).map(start).collect();
            broker.commit_offsets(&self.app, None, &starts).await.map_err(failed())?;
        }
        for topic in &self.topics {
            let failed = RunError::broker(format!("deleting topic `{topic}`"));
            // This also deletes the group's positions in the topic.
            broker.delete_topic(topic).await.map_err(failed)?;
        }
        Ok(())
    }

    fn text(&self, console: &Console) -> String {
        if self.topics.is_empty() && self.read_again.is_empty() && self.folders.is_empty() {
            return format!("app {} has nothing to reset", self.app);
        }
        let mut text = String::new();
        let mut part = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                text.push_str(&console.paint(Style::Heading, what));
                names.iter().for_each(|name| text.push_str(&format!("\n  {name}")));
                text.push('\n');
            }
        };
        let names = |topics: &[Arc<str>]| topics.iter().map(|topic| topic.to_string()).collect();
        let will = |done: &str, will: &str| if self.done { done.to_owned() } else { will.to_owned() };
        part(&will("deleted these topics:", "would delete these topics:"), names(&self.topics));
        part(
            &will("deleted these folders of tables:", "would delete these folders of tables:"),
            self.folders.iter().map(|folder| folder.display().to_string()).collect(),
        );
        part(
            &will("will read these again from their start:", "would read these again from their start:"),
            names(&self.read_again),
        );
        part(
            &will("kept (--all-topics deletes them too):", "would keep (--all-topics deletes them too):"),
            names(&self.kept),
        );
        text.push_str(&will("done", "nothing is deleted yet: run `reset --yes` to delete it"));
        text
    }
}

fn graph_reads(topology: &Topology, topic: &Arc<str>) -> bool {
    topology.graph.agents.iter().any(|agent| agent.reads == *topic)
}
