//! The view that a process has of the workers in other processes.

use std::sync::Arc;

use marlowe_broker::{Clock, SharedBroker};
use tokio::runtime::Handle;

use crate::cluster::{Directory, follow};
use crate::error::RunError;
use crate::host::Join;
use crate::peer::{PeerSecurity, Peers};
use crate::program::Program;
use crate::query::{OpenSlices, Routes};
use crate::threads::{Thread, Threads};
#[cfg(feature = "tls")]
use crate::tls::Hangups;
use crate::topology::Topology;

/// The view that a process has of the workers in other processes. It follows the directory of
/// workers and keeps the connections to them, on a thread of its own.
pub(crate) struct ClusterView {
    thread: Option<(Thread, Join)>,
}

impl ClusterView {
    /// Begins to follow the directory. The routes that it returns find what the workers of this
    /// process and of others have.
    pub(crate) async fn connect(
        process: Arc<str>,
        program: &Program,
        topology: &Topology,
        broker: SharedBroker,
        clock: Arc<dyn Clock>,
        security: PeerSecurity,
        threads: &Threads,
    ) -> Result<(Arc<Routes>, Self), RunError> {
        let slices = Arc::new(OpenSlices::default());
        for group in &topology.groups {
            group.tables.iter().for_each(|table| slices.declare(table, &group.name, group.partitions));
        }
        let directory = Arc::new(Directory::new(process));
        let (thread, join) = threads.start("cluster")?;
        let ended = |_| RunError::System { doing: "start thread cluster".into(), reason: "it ended at once".into() };
        let runtime = thread.run(|| async { Handle::current() }).await.map_err(ended)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = security.tls.clone() {
            let hangups = thread.run(|| async { Hangups::listen() }).await.map_err(ended)?;
            thread.run(move || tls.reload_at(hangups));
        }
        let token = security.signer.as_ref().map(|signer| signer.token.clone());
        let peers = Peers::new(runtime, &*threads.host, security)?;
        let routes = Arc::new(Routes::new(slices, directory.clone(), peers));
        let (topic, yielding) = (program.workers_topic(), routes.clone().yield_to_newer_owners());
        thread.run(move || follow(broker, topic, directory, clock, token));
        thread.run(move || yielding);
        Ok((routes, Self { thread: Some((thread, join)) }))
    }
}

impl Drop for ClusterView {
    fn drop(&mut self) {
        if let Some((thread, join)) = self.thread.take() {
            drop(thread);
            // The thread lets go of what it follows when it has ended.
            join.now();
        }
    }
}
