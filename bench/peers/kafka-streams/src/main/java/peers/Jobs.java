package peers;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/** The jobs, as topologies. */
final class Jobs {
    private final Arguments arguments;
    private final Tables tables;
    private final StreamsBuilder builder = new StreamsBuilder();

    private Jobs(Arguments arguments) {
        this.arguments = arguments;
        this.tables = new Tables(arguments.onDisk());
    }

    static Topology topology(Arguments arguments) {
        Jobs jobs = new Jobs(arguments);
        switch (arguments.job()) {
            case "pass" -> jobs.pass();
            case "count", "serve" -> jobs.count();
            case "regroup" -> jobs.regroup();
            case "shared" -> jobs.shared();
            case "total" -> jobs.total();
            default -> throw new Refusal("this program has no job `" + arguments.job() + "`");
        }
        return jobs.builder.build();
    }

    private void pass() {
        events().to(arguments.out(), Produced.with(Serdes.String(), Event.SERDE));
    }

    private void count() {
        events().groupByKey(Grouped.with(Serdes.String(), Event.SERDE)).count(tables.table("counts"));
    }

    private void regroup() {
        events().groupBy((page, event) -> event.user(), Grouped.with("by-user", Serdes.String(), Event.SERDE))
                .count(tables.table("counts"));
    }

    /** Two processors that are connected to one store: Kafka Streams makes one task per partition of both topics. */
    private void shared() {
        builder.addStateStore(tables.store("counts"));
        events().process(() -> new Adder("counts", true), "counts");
        stream(arguments.others()).process(() -> new Adder("counts", false), "counts");
    }

    /** All events go to one partition to be counted; the number then goes to every instance, through a topic of its own. */
    private void total() {
        events().groupBy((page, event) -> "all", Grouped.with("by-all", Serdes.String(), Event.SERDE))
                .count(tables.table("total"))
                .toStream()
                .to(Totals.topic(arguments), Produced.with(Serdes.String(), Serdes.Long()));
        builder.globalTable(
                Totals.topic(arguments),
                Consumed.with(Serdes.String(), Serdes.Long()),
                tables.table("totals"));
    }

    private KStream<String, Event> events() {
        return stream(arguments.events());
    }

    private KStream<String, Event> stream(String topic) {
        return builder.stream(topic, Consumed.with(Serdes.String(), Event.SERDE));
    }
}
