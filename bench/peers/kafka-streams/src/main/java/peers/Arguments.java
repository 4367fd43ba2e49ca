package peers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;

/** The command line that all peers have. */
record Arguments(
        String job,
        String brokers,
        String group,
        boolean exactlyOnce,
        boolean onDisk,
        Path dir,
        int threads,
        long commitMs,
        long cacheMb,
        int sessionMs,
        OptionalInt http,
        String events,
        String others,
        String out) {

    static Arguments parse(String[] words) throws IOException {
        if (words.length == 0) {
            throw new IllegalArgumentException("the first argument is the job");
        }
        Map<String, String> given = new HashMap<>();
        for (int at = 1; at < words.length; at += 2) {
            if (!words[at].startsWith("--") || at + 1 == words.length) {
                throw new IllegalArgumentException("not `--NAME VALUE`: " + words[at]);
            }
            given.put(words[at].substring(2), words[at + 1]);
        }

        String group = required(given, "group");
        String dir = given.remove("dir");
        String http = given.remove("http");
        Arguments arguments = new Arguments(
                words[0],
                required(given, "brokers"),
                group,
                exactlyOnce(take(given, "guarantee", "exactly-once")),
                onDisk(take(given, "store", "memory")),
                dir == null ? Files.createTempDirectory(group) : Path.of(dir),
                Integer.parseInt(take(given, "threads", "1")),
                Long.parseLong(take(given, "commit-ms", "100")),
                Long.parseLong(take(given, "cache-mb", "10")),
                Integer.parseInt(take(given, "session-ms", "10000")),
                http == null ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(http)),
                take(given, "events", "events"),
                take(given, "others", "others"),
                take(given, "out", group + "-out"));
        if (!given.isEmpty()) {
            throw new IllegalArgumentException("unknown: " + given.keySet());
        }
        return arguments;
    }

    private static String required(Map<String, String> given, String name) {
        String value = given.remove(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    private static String take(Map<String, String> given, String name, String otherwise) {
        String value = given.remove(name);
        return value == null ? otherwise : value;
    }

    private static boolean exactlyOnce(String guarantee) {
        return switch (guarantee) {
            case "exactly-once" -> true;
            case "at-least-once" -> false;
            default -> throw new Refusal("Kafka Streams has no guarantee `" + guarantee + "`");
        };
    }

    private static boolean onDisk(String store) {
        return switch (store) {
            case "disk" -> true;
            case "memory" -> false;
            default -> throw new Refusal("Kafka Streams has no store `" + store + "`");
        };
    }
}
