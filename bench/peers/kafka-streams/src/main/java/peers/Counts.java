package peers;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyQueryMetadata;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.state.HostInfo;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/** The table `counts` over HTTP: Interactive Queries. A row of another instance is asked for there. */
final class Counts {
    static final String HOST = "127.0.0.1";
    private static final String PATH = "/counts/";
    private static final Answer STARTING = new Answer(503, "the partition has no owner now");

    private final KafkaStreams streams;
    private final HostInfo here;
    private final HttpClient client = HttpClient.newHttpClient();
    private final HttpServer server;

    private record Answer(int status, String text) {}

    Counts(KafkaStreams streams, int port) throws IOException {
        // Else an answer on a connection that is kept waits for the client's delayed acknowledgement: 40 ms.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        this.streams = streams;
        this.here = new HostInfo(HOST, port);
        this.server = HttpServer.create(new InetSocketAddress(HOST, port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext(PATH, this::handle);
    }

    void start() {
        server.start();
    }

    private void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            Answer answer = answer(exchange.getRequestURI());
            byte[] text = answer.text().getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(answer.status(), text.length);
            exchange.getResponseBody().write(text);
        }
    }

    private Answer answer(URI uri) throws IOException {
        String page = uri.getPath().substring(PATH.length());
        try {
            KeyQueryMetadata owner = streams.queryMetadataForKey("counts", page, Serdes.String().serializer());
            if (owner.equals(KeyQueryMetadata.NOT_AVAILABLE)) {
                return STARTING;
            }
            return owner.activeHost().equals(here) ? read(page) : ask(owner.activeHost(), uri);
        } catch (InvalidStateStoreException error) {
            return STARTING;
        }
    }

    private Answer read(String page) {
        Long count = streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<String, Long>keyValueStore()))
                .get(page);
        return count == null ? new Answer(404, "no such page") : new Answer(200, count.toString());
    }

    private Answer ask(HostInfo owner, URI uri) throws IOException {
        URI there = URI.create("http://" + owner.host() + ":" + owner.port() + uri.getRawPath());
        try {
            HttpResponse<String> response =
                    client.send(HttpRequest.newBuilder(there).build(), HttpResponse.BodyHandlers.ofString());
            return new Answer(response.statusCode(), response.body());
        } catch (IOException error) {
            return STARTING;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            return STARTING;
        }
    }
}
