//! The macro [`pass_on!`](crate::pass_on), for a broker that stands before another broker.

/// Writes methods that pass each call on to an inner broker, reader, producer or membership.
///
/// It is for a *layer*: an implementation of [`Broker`](crate::Broker) that changes, delays or
/// counts some calls on their way to another broker, such as the network of a simulation. Use it
/// inside an `impl` of [`Broker`](crate::Broker), [`Reader`](crate::Reader),
/// [`Producer`](crate::Producer), [`TransactionalProducer`](crate::TransactionalProducer) or
/// [`Membership`](crate::Membership). Name the field that holds the inner one, and then the methods
/// to pass on. Write the other methods by hand.
///
/// With `through`, the call's future also goes through a method of `self`. Its form is
/// `fn ask<'a, T: Send + 'a>(&'a self, call: BoxFuture<'a, T>) -> BoxFuture<'a, T>`. This works
/// for the asynchronous methods of [`Broker`](crate::Broker) that open nothing.
///
/// A method with a default that is neither named nor written keeps its default. Calls of it do not
/// reach the inner one.
///
/// ```
/// use marlowe_broker::{BoxFuture, BrokerError, Fetched, Reader, pass_on};
///
/// /// A reader that counts how often it is polled.
/// struct CountedReader {
///     reader: Box<dyn Reader>,
///     polls: usize,
/// }
///
/// impl Reader for CountedReader {
///     pass_on!(to reader: assign, unassign, pause, resume);
///
///     fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
///         self.polls += 1;
///         self.reader.poll()
///     }
/// }
/// ```
#[macro_export]
macro_rules! pass_on {
    (to $inner:ident: $($method:ident),+ $(,)?) => {
        $($crate::pass_on!(@$method $inner);)+
    };
    (to $inner:ident through $ask:ident: $($method:ident),+ $(,)?) => {
        $($crate::pass_on!(@$method $inner $ask);)+
    };

    // The methods of `Broker`. Without `through`, a body is the call in parentheses.
    (@location $inner:ident) => {
        fn location(&self) -> String {
            self.$inner.location()
        }
    };
    (@record_limit $inner:ident) => {
        fn record_limit(&self) -> $crate::RecordLimit {
            self.$inner.record_limit()
        }
    };
    (@create_topic $inner:ident $($ask:ident)?) => {
        fn create_topic(&self, config: $crate::TopicConfig) -> $crate::BoxFuture<'_, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.create_topic(config))
        }
    };
    (@delete_topic $inner:ident $($ask:ident)?) => {
        fn delete_topic<'a>(&'a self, topic: &'a str) -> $crate::BoxFuture<'a, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.delete_topic(topic))
        }
    };
    (@topic $inner:ident $($ask:ident)?) => {
        fn topic<'a>(
            &'a self,
            topic: &'a str,
        ) -> $crate::BoxFuture<'a, Result<Option<$crate::TopicDescription>, $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.topic(topic))
        }
    };
    (@topics $inner:ident $($ask:ident)?) => {
        fn topics(&self) -> $crate::BoxFuture<'_, Result<Vec<$crate::TopicDescription>, $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.topics())
        }
    };
    (@topic_ids $inner:ident $($ask:ident)?) => {
        fn topic_ids<'a>(
            &'a self,
            topics: &'a [::std::sync::Arc<str>],
        ) -> $crate::BoxFuture<'a, Result<Vec<Option<::std::sync::Arc<str>>>, $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.topic_ids(topics))
        }
    };
    (@offsets $inner:ident $($ask:ident)?) => {
        fn offsets<'a>(
            &'a self,
            topic: &'a str,
            partitions: &'a [$crate::Partition],
            spec: $crate::OffsetSpec,
        ) -> $crate::BoxFuture<'a, Result<Vec<$crate::Offset>, $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.offsets(topic, partitions, spec))
        }
    };
    (@delete_records $inner:ident $($ask:ident)?) => {
        fn delete_records<'a>(
            &'a self,
            before: &'a [($crate::TopicPartition, $crate::Offset)],
        ) -> $crate::BoxFuture<'a, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.delete_records(before))
        }
    };
    (@committed $inner:ident $($ask:ident)?) => {
        fn committed<'a>(
            &'a self,
            group: &'a str,
            partitions: &'a [$crate::TopicPartition],
        ) -> $crate::BoxFuture<'a, Result<Vec<Option<$crate::CommittedOffset>>, $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.committed(group, partitions))
        }
    };
    (@commit_offsets $inner:ident $($ask:ident)?) => {
        fn commit_offsets<'a>(
            &'a self,
            group: &'a str,
            member: Option<&'a $crate::GroupMetadata>,
            offsets: &'a [($crate::TopicPartition, $crate::CommittedOffset)],
        ) -> $crate::BoxFuture<'a, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.commit_offsets(group, member, offsets))
        }
    };
    (@delete_group $inner:ident $($ask:ident)?) => {
        fn delete_group<'a>(&'a self, group: &'a str) -> $crate::BoxFuture<'a, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.delete_group(group))
        }
    };
    (@declare_reads $inner:ident $($ask:ident)?) => {
        fn declare_reads<'a>(
            &'a self,
            group: &'a str,
            reads: &'a [$crate::Reads],
        ) -> $crate::BoxFuture<'a, Result<(), $crate::BrokerError>> {
            $(self.$ask)? (self.$inner.declare_reads(group, reads))
        }
    };
    (@reader $inner:ident) => {
        fn reader(&self, isolation: $crate::Isolation) -> Result<Box<dyn $crate::Reader>, $crate::BrokerError> {
            self.$inner.reader(isolation)
        }
    };
    (@producer $inner:ident) => {
        fn producer(&self) -> Result<Box<dyn $crate::Producer>, $crate::BrokerError> {
            self.$inner.producer()
        }
    };
    (@transactional_producer $inner:ident) => {
        fn transactional_producer<'a>(
            &'a self,
            transactional_id: &'a str,
        ) -> $crate::BoxFuture<'a, Result<Box<dyn $crate::TransactionalProducer>, $crate::BrokerError>> {
            self.$inner.transactional_producer(transactional_id)
        }
    };
    (@join $inner:ident) => {
        fn join(
            &self,
            config: $crate::GroupConfig,
        ) -> $crate::BoxFuture<'_, Result<Box<dyn $crate::Membership>, $crate::BrokerError>> {
            self.$inner.join(config)
        }
    };

    // The methods of `Reader`.
    (@assign $inner:ident) => {
        fn assign(
            &mut self,
            partition: &$crate::TopicPartition,
            offset: $crate::Offset,
        ) -> Result<$crate::Source, $crate::BrokerError> {
            self.$inner.assign(partition, offset)
        }
    };
    (@unassign $inner:ident) => {
        fn unassign(&mut self, source: $crate::Source) {
            self.$inner.unassign(source);
        }
    };
    (@pause $inner:ident) => {
        fn pause(&mut self, source: $crate::Source) {
            self.$inner.pause(source);
        }
    };
    (@resume $inner:ident) => {
        fn resume(&mut self, source: $crate::Source) {
            self.$inner.resume(source);
        }
    };
    (@poll $inner:ident) => {
        fn poll(&mut self) -> $crate::BoxFuture<'_, Result<Vec<$crate::Fetched>, $crate::BrokerError>> {
            self.$inner.poll()
        }
    };

    // The methods of `Producer` and `TransactionalProducer`.
    (@destination $inner:ident) => {
        fn destination(
            &mut self,
            partition: &$crate::TopicPartition,
        ) -> Result<$crate::Destination, $crate::BrokerError> {
            self.$inner.destination(partition)
        }
    };
    (@send $inner:ident) => {
        fn send(&mut self, to: $crate::Destination, record: $crate::NewRecord<'_>) -> Result<(), $crate::BrokerError> {
            self.$inner.send(to, record)
        }
    };
    (@flush $inner:ident) => {
        fn flush(&mut self) -> $crate::BoxFuture<'_, Result<$crate::Written, $crate::BrokerError>> {
            self.$inner.flush()
        }
    };
    (@begin $inner:ident) => {
        fn begin(&mut self) -> Result<(), $crate::BrokerError> {
            self.$inner.begin()
        }
    };
    (@send_offsets $inner:ident) => {
        fn send_offsets(
            &mut self,
            offsets: &[($crate::TopicPartition, $crate::CommittedOffset)],
            group: &$crate::GroupMetadata,
        ) -> Result<(), $crate::BrokerError> {
            self.$inner.send_offsets(offsets, group)
        }
    };
    (@commit $inner:ident) => {
        fn commit(&mut self) -> $crate::BoxFuture<'_, Result<$crate::Written, $crate::BrokerError>> {
            self.$inner.commit()
        }
    };
    (@abort $inner:ident) => {
        fn abort(&mut self) -> $crate::BoxFuture<'_, Result<(), $crate::BrokerError>> {
            self.$inner.abort()
        }
    };

    // The methods of `Membership`.
    (@next $inner:ident) => {
        fn next(&mut self) -> $crate::BoxFuture<'_, Result<$crate::GroupEvent, $crate::BrokerError>> {
            self.$inner.next()
        }
    };
    (@acknowledge $inner:ident) => {
        fn acknowledge(
            &mut self,
            partitions: &[$crate::TopicPartition],
        ) -> $crate::BoxFuture<'_, Result<(), $crate::BrokerError>> {
            self.$inner.acknowledge(partitions)
        }
    };
    (@metadata $inner:ident) => {
        fn metadata(&self) -> ::std::sync::Arc<dyn $crate::MetadataSource> {
            self.$inner.metadata()
        }
    };
    (@leave $inner:ident) => {
        fn leave(self: Box<Self>) -> $crate::BoxFuture<'static, Result<(), $crate::BrokerError>> {
            self.$inner.leave()
        }
    };
}
