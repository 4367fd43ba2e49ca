package peers;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import sun.misc.Signal;

/** Does one job until it is told to stop. */
public final class Main {
    private static final int FAILED = 1;
    private static final int USAGE = 2;
    private static final int REFUSED = 3;

    private Main() {}

    public static void main(String[] words) throws Exception {
        try {
            System.exit(run(Arguments.parse(words)));
        } catch (Refusal refusal) {
            System.err.println(refusal.getMessage());
            System.exit(REFUSED);
        } catch (IllegalArgumentException error) {
            System.err.println(error.getMessage());
            System.exit(USAGE);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(FAILED);
        }
    }

    private static int run(Arguments arguments) throws Exception {
        Topology topology = Jobs.topology(arguments);
        Properties settings = Settings.of(arguments);
        if (arguments.job().equals("total")) {
            Totals.create(arguments);
        }

        CompletableFuture<Integer> ended = new CompletableFuture<>();
        // The JVM's own way with SIGTERM ends with code 143.
        Signal.handle(new Signal("TERM"), signal -> ended.complete(0));

        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            ended.complete(FAILED);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        if (arguments.job().equals("serve")) {
            int port = arguments.http().orElseThrow(() -> new IllegalArgumentException("--http is missing"));
            new Counts(streams, port).start();
        }
        streams.start();
        int code = ended.get();
        return streams.close(Duration.ofSeconds(30)) ? code : FAILED;
    }
}
