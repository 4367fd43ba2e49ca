package peers;

import java.time.Duration;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/** Adds each event to the row of its page; one of the two adders also has the timer. */
final class Adder implements Processor<String, Event, Void, Void> {
    private final String table;
    private final boolean sums;
    private KeyValueStore<String, Long> counts;

    Adder(String table, boolean sums) {
        this.table = table;
        this.sums = sums;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        counts = context.getStateStore(table);
        if (sums) {
            context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, now -> sum());
        }
    }

    @Override
    public void process(Record<String, Event> record) {
        String page = record.value().page();
        Long count = counts.get(page);
        counts.put(page, count == null ? 1 : count + 1);
    }

    private void sum() {
        long sum = 0;
        try (KeyValueIterator<String, Long> rows = counts.all()) {
            while (rows.hasNext()) {
                KeyValue<String, Long> row = rows.next();
                sum += row.value;
            }
        }
        System.out.println("sum " + sum);
    }
}
