//! Rows that are in a changelog before the program starts.

use marlowe_broker::{
    Cleanup, Clock, Destination, NewRecord, Partition, Partitioner, SystemClock, TopicConfig, TopicPartition,
};

use crate::program::{PARTITIONS, Program};
use crate::scene::Scene;

impl Scene {
    /// Writes those rows of the program's table that are not counts, as an earlier run may have
    /// left them.
    pub(crate) async fn write_rows(&self, program: &Program) {
        let log = TopicConfig::new(program.changelog(), PARTITIONS).cleanup(Cleanup::Compact);
        self.broker.create_topic(log).await.unwrap();
        let mut producer = self.broker.producer().unwrap();
        let place = |partition| TopicPartition::new(program.changelog(), partition);
        let homes: Vec<Destination> =
            Partition::all(PARTITIONS).map(|partition| producer.destination(&place(partition)).unwrap()).collect();
        for number in 0..program.rows {
            let (key, value) = (Program::row(number), number.to_string());
            let home = homes[Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS).get() as usize];
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            producer.send(home, NewRecord { timestamp: SystemClock.now(), key, value, headers: &[] }).unwrap();
        }
        producer.flush().await.unwrap();
    }
}
