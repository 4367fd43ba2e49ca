package peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** A visit of a page, as it is in Kafka: JSON. */
record Event(String page, String user, long at, String agent) {
    private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);
    private static final ObjectWriter WRITER = new ObjectMapper().writerFor(Event.class);

    static final Serde<Event> SERDE = Serdes.serdeFrom((topic, event) -> encode(event), (topic, json) -> decode(json));

    private static byte[] encode(Event event) {
        try {
            return event == null ? null : WRITER.writeValueAsBytes(event);
        } catch (IOException error) {
            throw new SerializationException("an event that is not JSON", error);
        }
    }

    private static Event decode(byte[] json) {
        try {
            return json == null ? null : READER.readValue(json);
        } catch (IOException error) {
            throw new SerializationException("no event: not such JSON", error);
        }
    }
}
