package peers;

import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.streams.StreamsConfig;

/** What the command line means to Kafka Streams; all else is as it is by default. */
final class Settings {
    private Settings() {}

    static Properties of(Arguments arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.group());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.brokers());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.dir().toString());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.threads());
        settings.put(
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
                arguments.exactlyOnce() ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.commitMs());
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments.cacheMb() << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), arguments.sessionMs());
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), arguments.sessionMs() / 3);
        // Kafka Streams stays a member of the group when it closes, in case it is soon back; a peer that is told to go leaves.
        settings.put(StreamsConfig.mainConsumerPrefix("internal.leave.group.on.close"), true);
        arguments.http().ifPresent(port -> settings.put(StreamsConfig.APPLICATION_SERVER_CONFIG, Counts.HOST + ":" + port));
        return settings;
    }
}
