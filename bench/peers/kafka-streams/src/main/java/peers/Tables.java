package peers;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Where the rows of tables are: a number for each key, in memory or in RocksDB. */
record Tables(boolean onDisk) {
    /** For the DSL, which writes through the cache by itself. */
    Materialized<String, Long, KeyValueStore<Bytes, byte[]>> table(String name) {
        return Materialized.<String, Long>as(supplier(name)).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long());
    }

    /** For processors; here the cache must be asked for. */
    StoreBuilder<KeyValueStore<String, Long>> store(String name) {
        return Stores.keyValueStoreBuilder(supplier(name), Serdes.String(), Serdes.Long()).withCachingEnabled();
    }

    private KeyValueBytesStoreSupplier supplier(String name) {
        return onDisk ? Stores.persistentKeyValueStore(name) : Stores.inMemoryKeyValueStore(name);
    }
}
