use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::bindings as sys;

use super::client::{Client, millis};
use super::code::{Code, Failure, Remedy};
use super::group::{Identity, NativeIdentity};
use super::partitions::{Place, Places};

/// How much longer than its time-out a call may take before it is overdue.
const OVERDUE: Duration = Duration::from_secs(5);

impl Client {
    /// Makes this the one producer of its transactional id.
    pub(crate) fn init_transactions(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_init_transactions(self.as_ptr(), millis(within))) }
    }

    pub(crate) fn begin_transaction(&self) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_begin_transaction(self.as_ptr())) }
    }

    /// Adds positions to the transaction, in the name of a member.
    ///
    /// librdkafka does not keep to the time-out while it knows no coordinator of the group (its issues 5456 and 5511): where
    /// brokers stay away, the call never ends. So it is made in a thread of its own, which keeps the client for as long.
    ///
    /// # Errors
    /// With [`Remedy::Replace`] when the call is overdue.
    pub(crate) fn send_offsets(
        self: &Arc<Self>,
        places: &[Place],
        who: &Identity,
        within: Duration,
    ) -> Result<(), Failure> {
        let (client, places, member) = (self.clone(), places.to_vec(), who.clone());
        let (done, wait) = mpsc::channel();
        let call = move || {
            let sent = client.send_offsets_now(&Places::of(&places), &member, within);
            // Nobody may wait for it any more.
            let _ = done.send(sent);
        };
        if let Err(error) = std::thread::Builder::new().name("kafka-offsets".into()).spawn(call) {
            let reason = format!("no thread could be started for the positions: {error}");
            return Err(Failure { reason, remedy: Remedy::Abort, ..Failure::of(Code::TIMED_OUT) });
        }
        wait.recv_timeout(within + OVERDUE).unwrap_or_else(|_| {
            let reason = format!("no coordinator took the positions of group `{}` within {within:?}", who.group);
            Err(Failure { reason, remedy: Remedy::Replace, ..Failure::of(Code::TIMED_OUT) })
        })
    }

    fn send_offsets_now(&self, places: &Places, who: &Identity, within: Duration) -> Result<(), Failure> {
        let Some(who) = NativeIdentity::of(who) else { return Err(Failure::of(Code::ILLEGAL_GENERATION)) };
        // SAFETY: all are alive.
        unsafe {
            Failure::take(sys::rd_kafka_send_offsets_to_transaction(
                self.as_ptr(),
                places.as_ptr(),
                who.as_ptr(),
                millis(within),
            ))
        }
    }

    /// Flushes and commits. After a time-out the same may be called again.
    pub(crate) fn commit_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_commit_transaction(self.as_ptr(), millis(within))) }
    }

    pub(crate) fn abort_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_abort_transaction(self.as_ptr(), millis(within))) }
    }

    /// Waits until every record was delivered or was not, and its sender told.
    pub(crate) fn flush(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        Code::check(unsafe { sys::rd_kafka_flush(self.as_ptr(), millis(within)) })
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use tokio::time::Instant;

    use super::*;
    use crate::KafkaConfig;
    use crate::native::{Configuration, Kind};

    /// The test waits for librdkafka's threads, in real time.
    #[test]
    fn n5_positions_are_not_waited_for_without_end() {
        const WITHIN: Duration = Duration::from_secs(1);
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("events", 1, 1).unwrap();
        cluster.coordinator(MockCoordinator::Transaction("id".into()), 1).unwrap();
        cluster.coordinator(MockCoordinator::Group("group".into()), 2).unwrap();
        let config = KafkaConfig::new(cluster.bootstrap_servers());
        let configuration = Configuration::new(&config, &[]).set("transactional.id", "id");
        let client = Client::new(Kind::Producer, &configuration).unwrap();
        let who = Identity { group: "group".into(), member: "member".into(), generation: 1, instance: None };
        let places = [Place::new("events", 0, 1)];
        client.init_transactions(WITHIN * 10).unwrap();
        client.begin_transaction().unwrap();
        client.send_offsets(&places, &who, WITHIN * 10).unwrap();

        cluster.broker_down(2).unwrap();
        let begun = Instant::now();
        let failed = client.send_offsets(&places, &who, WITHIN).unwrap_err();
        assert_eq!(failed.remedy, Remedy::Replace, "{failed:?}");
        assert!(failed.reason.contains("group `group`"), "{failed:?}");
        assert!(begun.elapsed() < WITHIN + 2 * OVERDUE, "it took {:?}", begun.elapsed());
    }
}
