//! The transactional calls of a producer.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::bindings as sys;

use super::client::{Client, millis};
use super::code::{Code, Failure, Remedy};
use super::group::{Identity, NativeIdentity};
use super::partitions::{Place, Places};

/// The time after its time-out at which a call is overdue.
const OVERDUE: Duration = Duration::from_secs(5);

impl Client {
    /// Makes this the only producer of its transactional id. Earlier ones are fenced.
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
    /// librdkafka ignores the time-out while it knows no coordinator of the group (its issues 5456
    /// and 5511). If the brokers stay away, the call never returns. So it runs in a thread of its
    /// own, which keeps the client alive until it returns.
    ///
    /// # Errors
    /// When librdkafka refuses the positions. The failure has [`Remedy::Replace`] when the call is
    /// overdue.
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
            // The caller may have stopped waiting.
            let _ = done.send(sent);
        };
        if let Err(error) = std::thread::Builder::new().name("kafka-offsets".into()).spawn(call) {
            let reason = format!("no thread could be started for the positions: {error}");
            return Err(Failure { reason, remedy: Remedy::Abort, ..Failure::of(Code::TIMED_OUT) });
        }
        wait.recv_timeout(within + OVERDUE).unwrap_or_else(|_| {
            let reason = format!("no coordinator accepted the positions of group `{}` within {within:?}", who.group);
            Err(Failure { reason, remedy: Remedy::Replace, ..Failure::of(Code::TIMED_OUT) })
        })
    }

    fn send_offsets_now(&self, places: &Places, who: &Identity, within: Duration) -> Result<(), Failure> {
        let Some(who) = NativeIdentity::of(who) else { return Err(Failure::of(Code::ILLEGAL_GENERATION)) };
        // SAFETY: the client, the list and the identity are alive.
        unsafe {
            Failure::take(sys::rd_kafka_send_offsets_to_transaction(
                self.as_ptr(),
                places.as_ptr(),
                who.as_ptr(),
                millis(within),
            ))
        }
    }

    /// Flushes and commits. After a time-out, the same function may be called again.
    pub(crate) fn commit_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_commit_transaction(self.as_ptr(), millis(within))) }
    }

    pub(crate) fn abort_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_abort_transaction(self.as_ptr(), millis(within))) }
    }

    /// Waits until each record is delivered or has failed, and the observer was told.
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

    /// Waits for librdkafka's threads, in real time.
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
