//! Deleting the records of partitions before given offsets, with Kafka's `DeleteRecords`.

use std::sync::Arc;

use marlowe_broker::{BrokerError, Offset, OffsetSpec, TopicPartition};
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::cluster::Cluster;
use crate::tries::{Tries, options, passes};

impl Cluster {
    /// Deletes the records of each partition before its offset. Failures that pass are retried.
    pub(crate) async fn delete_records(
        self: &Arc<Self>,
        before: &[(TopicPartition, Offset)],
    ) -> Result<(), BrokerError> {
        for (at, _) in before {
            self.check_partitions(&at.topic, &[at.partition]).await?;
        }
        let mut left = before.to_vec();
        let mut tries = Tries::of(self, "deleting records");
        while !left.is_empty() {
            let mut list = TopicPartitionList::with_capacity(left.len());
            for (at, offset) in &left {
                let offset = rdkafka::Offset::Offset(offset.get() as i64);
                let added = list.add_partition_offset(&at.topic, at.partition.get() as i32, offset);
                added.map_err(|error| self.unavailable("deleting records", &error))?;
            }
            let answer = match self.admin()?.delete_records(&list, &options()).await {
                Ok(answer) => answer,
                Err(error) => {
                    tries.again(&error).await?;
                    continue;
                }
            };
            let (mut again, mut passing) = (Vec::new(), None);
            for (at, offset) in left {
                let found = answer.find_partition(&at.topic, at.partition.get() as i32);
                match found.map(|element| element.error()) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::OffsetOutOfRange) => return Err(self.out_of_range(at, offset).await),
                        Some(RDKafkaErrorCode::PolicyViolation) => {
                            let topic = &at.topic;
                            return Err(BrokerError::InvalidState(format!(
                                "topic `{topic}` is compacted, so its records cannot be deleted up to an offset"
                            )));
                        }
                        Some(code) if passes(code) => {
                            passing = Some(code);
                            again.push((at, offset));
                        }
                        _ => return Err(self.unavailable(&format!("deleting the records of {at}"), &error)),
                    },
                    None => {
                        return Err(
                            self.unavailable("deleting records", &format!("the broker gave no answer for {at}"))
                        );
                    }
                }
            }
            if let Some(code) = passing {
                tries.again(&KafkaError::AdminOp(code)).await?;
            }
            left = again;
        }
        Ok(())
    }

    async fn out_of_range(self: &Arc<Self>, partition: TopicPartition, offset: Offset) -> BrokerError {
        let place = async |spec| self.offsets(&partition.topic, &[partition.partition], spec).await;
        match (place(OffsetSpec::Earliest).await, place(OffsetSpec::Latest).await) {
            (Ok(start), Ok(end)) => {
                let (start, end) = (start.first().copied(), end.first().copied());
                let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
                BrokerError::OffsetOutOfRange { partition, offset, start, end }
            }
            (Err(error), _) | (_, Err(error)) => error,
        }
    }
}
