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

/// How long a coordinator may take to answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// A transactional client and the transaction in hand, for the thread that does the work.
///
/// Its records are kept until the commit went through. A transaction that fails for a reason that passes (brokers away, a
/// coordinator that moves, a generation that went by while it was on its way) is aborted and made again.
pub(crate) struct Transaction {
    cluster: Arc<Cluster>,
    configuration: Configuration,
    writer: Writer,
    /// The writer's client aborted records of which it is not known whether the brokers have them. It would number the next
    /// ones as it numbered those, and a broker that has those takes the next ones for the same, and drops them.
    is_spent: bool,
    id: String,
    pub(crate) outgoing: Outgoing,
    pub(crate) positions: Option<Positions>,
    /// How many of the outgoing records the client has; `None` while it has no transaction open.
    given: Option<usize>,
    /// Another took this one's place.
    fenced: Option<String>,
}

/// Why an attempt at a transaction failed.
enum Failed {
    /// The same again, after an abort.
    Again(Failure),
    /// For good: this is told.
    Told(BrokerError),
    /// There was no answer, and none is waited for any more.
    Unanswered(String),
    /// The transaction is left as it is: this is told. The next producer of its id sees to it.
    Left(BrokerError),
}

impl Transaction {
    pub(crate) fn configuration(cluster: &Cluster, id: &str) -> Configuration {
        let mut configuration = Writer::configuration(cluster).set("transactional.id", id);
        if configuration.value("transaction.timeout.ms").is_none() {
            // As Kafka Streams has it: what a crashed worker left open keeps others waiting for so long at most.
            configuration = configuration.set("transaction.timeout.ms", "10000");
        }
        configuration
    }

    /// Makes this the one producer of its id. Waits for the cluster as long as its patience lasts.
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

    /// Opens a client, and ends what one before it with the same id may have left open.
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
                    tracing::info!("producer `{id}`: the end of its last transaction was in doubt; it is aborted")
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
                // Its open may have met the end of a transaction of the same id.
                Err(failure) if failure.code.is_passing() && wanted.is_wanted() && Instant::now() < deadline => {}
                Err(failure) => return Err(cluster.attempt("opening a transactional producer").failed(&failure)),
            }
        }
    }

    /// That it is not fenced.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        match &self.fenced {
            Some(reason) => Err(BrokerError::Fenced { who: self.who(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn who(&self) -> String {
        format!("producer `{}`", self.id)
    }

    /// Gives the brokers what was sent so far, uncommitted.
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

    /// Commits. Waits for the outcome as long as the patience lasts; after that it is not known.
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
                    // What became of each record is known only now: the client may give up a transaction before it tells.
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
                    tracing::info!("{}: {}; the transaction is made again", self.who(), failure.reason);
                    waiting.tell(&failure.reason);
                    self.writer.forget();
                }
                Err(failed) => {
                    // The coordinator is asked to commit when all is delivered. If it did not answer, the commit may count.
                    let may_count = matches!(failed, Failed::Left(_)) && self.writer.has_delivered(self.outgoing.len());
                    let told = self.told(failed);
                    // What was left open is the next one's hindrance. That it stays open is told by the next call.
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

    /// Whether what is to be committed never will be: its member was taken for dead.
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

    /// Keeps what is under way for the next producer of the id to end: it is not known whether the markers that abort it are
    /// written.
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
                // The client does not come back. The next one ends the transaction that this one has open.
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

    /// What came of an attempt, as it is told: a record that its topic does not take is no reason to make the same again.
    fn explained(&self, failed: Failed, destinations: &[TopicPartition]) -> Failed {
        match failed {
            Failed::Again(failure) => match self.delivered(destinations) {
                Err(told @ Failed::Told(_)) => told,
                _ => Failed::Again(failure),
            },
            failed => failed,
        }
    }

    /// Hands the client what it does not have yet, in a transaction.
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

    /// Calls again while that is what librdkafka advises.
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
                        return Err(Failed::Unanswered(format!("{}; the member was taken for dead", failure.reason)));
                    }
                    if !wanted.is_wanted() || Instant::now() >= deadline {
                        let patience = self.cluster.config.patience;
                        return Err(Failed::Unanswered(format!("{}; it was waited for {patience:?}", failure.reason)));
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
            // Whatever it is: nothing of it is visible, and another producer goes on from what is committed.
            Remedy::Fatal => fenced(&failure.reason),
            // The member goes on in a newer generation, if it still is one: that is seen when its positions are sent anew.
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

    /// Ends the client's transaction, if it has one open.
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
