//! The thread's side of a transactional producer: how a transaction is made, made again, committed
//! and aborted.
//!
//! # Making a transaction again
//! A transaction is begun only when it is flushed or committed. If it fails for a reason that
//! passes, it is aborted and made again from the records that were kept. Such reasons are brokers
//! that are away, a coordinator that moves, and a generation of the group that ended while the
//! transaction was in flight.
//!
//! # Sequence numbers
//! An idempotent producer numbers its records, and a broker drops a record whose number it has
//! already seen. After an abort, librdkafka gives the next records the numbers of the records that
//! it has purged. If a broker has those records, but could not answer, it would drop the next ones
//! as duplicates. So a client that has aborted is not used again: the transaction is made again by
//! a new client.
//!
//! # Fencing
//! A new client of the same transactional id gets a newer epoch, which fences the older client. A
//! producer that was fenced, or whose transaction could not be brought to an end, begins no further
//! transaction.
//!
//! # Hanging transactions
//! If it is not known whether a transaction was ended in all its partitions, it is kept in
//! `unfinished`. The next producer of its id ends it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, TopicPartition, Written};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::native::{Configuration, Failure, Remedy};
use crate::outgoing::Outgoing;
use crate::positions::Positions;
use crate::unfinished::Unfinished;
use crate::waiting::Waiting;
use crate::writer::{STEP, Wanted, Writer, undelivered};

/// The time that a coordinator has for its answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// A transactional client and its current transaction, for the thread that does the work. The
/// records are kept until the commit has succeeded.
pub(crate) struct Transaction {
    cluster: Arc<Cluster>,
    configuration: Configuration,
    writer: Writer,
    /// The writer's client has aborted records, and it is not known whether the brokers have them.
    /// So the client must not number any further records (see *Sequence numbers* above).
    is_spent: bool,
    id: String,
    pub(crate) outgoing: Outgoing,
    pub(crate) positions: Option<Positions>,
    /// The number of outgoing records that the client has. `None` while it has no open transaction.
    given: Option<usize>,
    /// The reason why it begins no further transaction: another producer took its place, or its
    /// last transaction was left open.
    fenced: Option<String>,
}

/// The reason why an attempt at a transaction failed, and what to do about it.
enum Failed {
    /// The transaction is aborted and made again.
    Again(Failure),
    /// The transaction has failed for good, and this error is returned.
    Told(BrokerError),
    /// No answer came, and none is waited for any more.
    Unanswered(String),
    /// The transaction is left as it is, and this error is returned. The next producer of its id
    /// ends the transaction.
    Left(BrokerError),
}

impl Transaction {
    pub(crate) fn configuration(cluster: &Cluster, id: &str) -> Configuration {
        let mut configuration = Writer::configuration(cluster).set("transactional.id", id);
        if configuration.value("transaction.timeout.ms").is_none() {
            // Kafka Streams has the same value. What a crashed worker left open keeps others
            // waiting for at most this time.
            configuration = configuration.set("transaction.timeout.ms", "10000");
        }
        configuration
    }

    /// Makes this the only producer of its id. Waits for the cluster as long as the patience lasts.
    pub(crate) fn open(
        cluster: Arc<Cluster>,
        configuration: Configuration,
        id: String,
        wanted: &Wanted,
    ) -> Result<Self, BrokerError> {
        let writer = Self::begin(&cluster, &configuration, &id, wanted)?;
        let (outgoing, positions) = (Outgoing::default(), None);
        Ok(Self { cluster, configuration, writer, is_spent: false, id, outgoing, positions, given: None, fenced: None })
    }

    /// Opens a client, and ends a transaction that an earlier client of the same id may have left
    /// open.
    fn begin(
        cluster: &Cluster,
        configuration: &Configuration,
        id: &str,
        wanted: &Wanted,
    ) -> Result<Writer, BrokerError> {
        let deadline = Instant::now() + cluster.config.patience;
        loop {
            let mut writer = Self::begin_client(cluster, configuration, wanted, deadline)?;
            let Some(mut unfinished) = cluster.unfinished.take(id) else { return Ok(writer) };
            match unfinished.end(&mut writer, ANSWER, wanted) {
                Ok(()) => {
                    tracing::info!(
                        "producer `{id}`: it was not known whether its last transaction had ended; it is aborted"
                    )
                }
                Err(failure) => {
                    cluster.unfinished.keep(id, unfinished);
                    if !wanted.is_wanted() || Instant::now() >= deadline || failure.code.is_fenced() {
                        return Err(cluster.attempt("ending what a transaction left open").failed(&failure));
                    }
                    tracing::debug!("producer `{id}`: ending its last transaction: {}; trying again", failure.reason);
                }
            }
        }
    }

    fn begin_client(
        cluster: &Cluster,
        configuration: &Configuration,
        wanted: &Wanted,
        deadline: Instant,
    ) -> Result<Writer, BrokerError> {
        loop {
            let writer = Writer::open(configuration)?;
            let mut opened = writer.client.init_transactions(ANSWER);
            while let Err(failure) = &opened
                && failure.remedy == Remedy::Retry
                && wanted.is_wanted()
                && Instant::now() < deadline
            {
                opened = writer.client.init_transactions(ANSWER);
            }
            match opened {
                Ok(()) => return Ok(writer),
                // Opening it may have coincided with the end of a transaction of the same id.
                Err(failure) if failure.code.is_passing() && wanted.is_wanted() && Instant::now() < deadline => {}
                Err(failure) => return Err(cluster.attempt("opening a transactional producer").failed(&failure)),
            }
        }
    }

    /// Checks that the producer is not fenced.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        match &self.fenced {
            Some(reason) => Err(BrokerError::Fenced { who: self.who(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn who(&self) -> String {
        format!("producer `{}`", self.id)
    }

    /// Gives the brokers the records that were sent so far, uncommitted.
    pub(crate) fn flush(&mut self, destinations: &[TopicPartition], wanted: &Wanted) -> Result<Written, BrokerError> {
        self.check()?;
        self.give(destinations, wanted).map_err(|failed| self.told(failed))?;
        while let Err(failure) = self.writer.client.flush(STEP) {
            if !wanted.is_wanted() {
                return Err(self.cluster.attempt("writing").failed(&failure));
            }
        }
        self.delivered(destinations).map_err(|failed| self.told(failed))
    }

    /// Commits the transaction. Waits for the outcome as long as the patience lasts, and at least
    /// 60 s. After that, the outcome is not known.
    pub(crate) fn commit(&mut self, destinations: &[TopicPartition], wanted: &Wanted) -> Result<Written, BrokerError> {
        self.check()?;
        if self.outgoing.is_empty() && self.positions.is_none() && self.given.is_none() {
            return Ok(Written::default());
        }
        let deadline = Instant::now() + self.cluster.config.patience.max(Duration::from_secs(60));
        let mut waiting = Waiting::for_brokers(self.who(), "committing");
        loop {
            match self
                .attempt(destinations, wanted, deadline, &mut waiting)
                .map_err(|failed| self.explained(failed, destinations))
            {
                Ok(written) => {
                    self.outgoing.clear();
                    self.positions = None;
                    self.given = None;
                    return Ok(written);
                }
                Err(Failed::Again(failure)) if wanted.is_wanted() && Instant::now() < deadline && !self.is_over() => {
                    let aborted = self.abort_client(wanted, deadline);
                    // The result of each record is known only now, because the client may give a
                    // transaction up before it reports the results.
                    let delivered = self.delivered(destinations);
                    let is_refused = matches!(delivered, Err(Failed::Told(_)));
                    if aborted.is_err() || !(is_refused || failure.code.is_old_generation()) {
                        self.doubt(destinations);
                    }
                    aborted?;
                    if let Err(Failed::Told(refused)) = delivered {
                        self.outgoing.clear();
                        self.positions = None;
                        return Err(refused);
                    }
                    tracing::info!("{}: {}; the transaction is tried again", self.who(), failure.reason);
                    waiting.tell(&failure.reason);
                    self.writer.forget();
                }
                Err(failed) => {
                    // The client asks the coordinator to commit when all records are delivered. If
                    // the coordinator did not answer, the commit may have succeeded.
                    let may_count = matches!(failed, Failed::Left(_)) && self.writer.has_delivered(self.outgoing.len());
                    let told = self.told(failed);
                    // A transaction that is left open hinders the next one. If it stays open, the
                    // next call says so.
                    if self.fenced.is_none()
                        && let Err(error) = self.abort_client(wanted, deadline)
                    {
                        self.fenced.get_or_insert_with(|| error.to_string());
                    }
                    if self.fenced.is_some() && !may_count {
                        self.doubt(destinations);
                    }
                    self.outgoing.clear();
                    self.positions = None;
                    self.writer.forget();
                    return Err(told);
                }
            }
        }
    }

    /// Returns whether what is to be committed never will be, because its member was expelled or
    /// passed over.
    fn is_over(&self) -> bool {
        self.positions.as_ref().is_some_and(|positions| self.cluster.members.is_over(&positions.of))
    }

    pub(crate) fn abort(&mut self, destinations: &[TopicPartition], wanted: &Wanted) -> Result<(), BrokerError> {
        let deadline = Instant::now() + self.cluster.config.patience;
        let aborted = if self.fenced.is_some() { Ok(()) } else { self.abort_client(wanted, deadline) };
        if aborted.is_err() {
            self.doubt(destinations);
        }
        self.outgoing.clear();
        self.positions = None;
        self.writer.forget();
        aborted
    }

    /// Keeps the current transaction for the next producer of the id to end. It is not known
    /// whether the markers that abort it are written.
    fn doubt(&self, destinations: &[TopicPartition]) {
        let positions = self.positions.as_ref().map(|positions| positions.touched(&self.cluster));
        if let Some(unfinished) = Unfinished::of(&self.outgoing, destinations, positions) {
            self.cluster.unfinished.keep(&self.id, unfinished);
        }
    }

    fn attempt(
        &mut self,
        destinations: &[TopicPartition],
        wanted: &Wanted,
        deadline: Instant,
        waiting: &mut Waiting,
    ) -> Result<Written, Failed> {
        self.give(destinations, wanted)?;
        if let Some(positions) = &self.positions {
            let (places, identity) = positions.resolve(&self.cluster).map_err(Failed::Told)?;
            let sent = self
                .retried(wanted, deadline, waiting, |writer| writer.client.send_offsets(&places, &identity, ANSWER));
            if let Err(Failed::Again(Failure { remedy: Remedy::Replace, .. })) = &sent {
                // The client does not return from the call. The next client ends the transaction
                // that this one has open.
                (self.given, self.is_spent) = (None, true);
            }
            if let Err(Failed::Again(failure)) = &sent
                && failure.code.is_old_generation()
                && !positions.has_moved_on(&self.cluster, &identity, wanted)
            {
                return Err(Failed::Told(BrokerError::Fenced { who: self.who(), reason: failure.reason.clone() }));
            }
            sent?;
        }
        self.retried(wanted, deadline, waiting, |writer| writer.client.commit_transaction(ANSWER)).map_err(
            |failed| match failed {
                Failed::Unanswered(reason) => Failed::Left(BrokerError::Unknown { operation: "commit", reason }),
                failed => failed,
            },
        )?;
        self.delivered(destinations)
    }

    /// Replaces the reason of a failed attempt by the error of a record that its topic refuses, if
    /// there is one. Making the same transaction again would not help then.
    fn explained(&self, failed: Failed, destinations: &[TopicPartition]) -> Failed {
        match failed {
            Failed::Again(failure) => match self.delivered(destinations) {
                Err(told @ Failed::Told(_)) => told,
                _ => Failed::Again(failure),
            },
            failed => failed,
        }
    }

    /// Hands the client the records that it does not have yet. Begins a transaction if none is
    /// open.
    fn give(&mut self, destinations: &[TopicPartition], wanted: &Wanted) -> Result<(), Failed> {
        let from = match self.given {
            Some(given) => given,
            None => {
                if self.is_spent {
                    let begun = Self::begin(&self.cluster, &self.configuration, &self.id, wanted);
                    self.writer = begun.map_err(Failed::Told)?;
                    self.is_spent = false;
                }
                let begun = self.writer.client.begin_transaction();
                begun.map_err(|failure| self.failed(failure))?;
                self.given = Some(0);
                0
            }
        };
        let produced = self.writer.produce(&self.outgoing, from, destinations, wanted);
        produced.map_err(|(failure, tag)| match self.writer.client.fatal() {
            Some(fatal) => self.failed(Failure { remedy: Remedy::Fatal, ..fatal }),
            None => Failed::Told(undelivered(&self.cluster, failure.code, &destinations[tag])),
        })?;
        self.given = Some(self.outgoing.len());
        Ok(())
    }

    fn delivered(&self, destinations: &[TopicPartition]) -> Result<Written, Failed> {
        self.writer.written().map_err(|(code, tag)| {
            let failure = Failure::of(code);
            if code.is_for_good() {
                return Failed::Told(undelivered(&self.cluster, code, &destinations[tag]));
            }
            match self.writer.client.fatal() {
                Some(fatal) => self.failed(Failure { remedy: Remedy::Fatal, ..fatal }),
                None => Failed::Again(failure),
            }
        })
    }

    /// Calls `call` again while librdkafka advises to.
    fn retried(
        &self,
        wanted: &Wanted,
        deadline: Instant,
        waiting: &mut Waiting,
        call: impl Fn(&Writer) -> Result<(), Failure>,
    ) -> Result<(), Failed> {
        loop {
            match call(&self.writer) {
                Ok(()) => return Ok(()),
                Err(failure) if failure.remedy == Remedy::Retry => {
                    if self.is_over() {
                        return Err(Failed::Unanswered(format!("{}; the member was expelled", failure.reason)));
                    }
                    if !wanted.is_wanted() || Instant::now() >= deadline {
                        let patience = self.cluster.config.patience;
                        return Err(Failed::Unanswered(format!("{}; waited {patience:?} for it", failure.reason)));
                    }
                    waiting.tell(&failure.reason);
                }
                Err(failure) => return Err(self.failed(failure)),
            }
        }
    }

    fn failed(&self, failure: Failure) -> Failed {
        let fenced = |reason: &str| {
            Failed::Told(BrokerError::Fenced { who: self.who(), reason: self.cluster.config.redacted(reason) })
        };
        match failure.remedy {
            // Whatever the error is, nothing of the transaction is visible. Another producer
            // continues from what is committed.
            Remedy::Fatal => fenced(&failure.reason),
            // The member goes on in a newer generation, if it still is a member. That is checked
            // when its positions are sent again.
            _ if failure.code.is_old_generation() => Failed::Again(failure),
            _ if failure.code.is_fenced() => fenced(&failure.reason),
            _ if failure.code.is_refused() => Failed::Told(self.cluster.attempt("committing").failed(&failure)),
            Remedy::Abort | Remedy::Replace => Failed::Again(failure),
            _ => Failed::Told(self.cluster.attempt("committing").failed(&failure)),
        }
    }

    fn told(&mut self, failed: Failed) -> BrokerError {
        let is_left = matches!(failed, Failed::Left(_) | Failed::Unanswered(_));
        let told = match failed {
            Failed::Told(error) | Failed::Left(error) => error,
            Failed::Again(failure) if failure.code.is_fenced() || self.is_over() => {
                BrokerError::Fenced { who: self.who(), reason: failure.reason }
            }
            Failed::Unanswered(reason) if self.is_over() => BrokerError::Fenced { who: self.who(), reason },
            Failed::Again(failure) => self.cluster.attempt("committing").failed(&failure),
            Failed::Unanswered(reason) => self.cluster.unavailable("committing", &reason),
        };
        if is_left || self.writer.client.fatal().is_some() {
            self.fenced = Some(told.to_string());
        }
        told
    }

    /// Aborts the client's transaction, if it has one open.
    fn abort_client(&mut self, wanted: &Wanted, deadline: Instant) -> Result<(), BrokerError> {
        if self.given.take().is_none() {
            return Ok(());
        }
        self.is_spent = true;
        loop {
            match self.writer.client.abort_transaction(ANSWER) {
                Ok(()) => return Ok(()),
                Err(failure)
                    if failure.remedy == Remedy::Retry
                        && wanted.is_wanted()
                        && Instant::now() < deadline
                        && !self.is_over() => {}
                Err(failure) => {
                    if failure.remedy == Remedy::Fatal || self.writer.client.fatal().is_some() {
                        self.fenced = Some(failure.reason.clone());
                        return Err(BrokerError::Fenced { who: self.who(), reason: failure.reason });
                    }
                    return Err(self.cluster.attempt("aborting a transaction").failed(&failure));
                }
            }
        }
    }
}
