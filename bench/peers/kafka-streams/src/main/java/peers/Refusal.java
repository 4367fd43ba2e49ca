package peers;

/** What this system cannot do: one line, and exit code 3. */
final class Refusal extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Refusal(String reason) {
        super(reason);
    }
}
