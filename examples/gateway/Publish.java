// Java 17 or newer, without libraries: java Publish.java
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;

public class Publish {
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    // Sends the same event until the log has it; the same event counts once, so sending it again is safe.
    static String publish(String event) throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(System.getenv("GATEWAY_URL") + "/v1/events"))
            .header("Authorization", "Bearer " + System.getenv("GATEWAY_TOKEN"))
            .header("Content-Type", "application/json")
            .timeout(Duration.ofSeconds(60))
            .POST(HttpRequest.BodyPublishers.ofString(event))
            .build();
        for (long pause = 1; ; pause = Math.min(2 * pause, 60)) {
            long wait = pause;
            try {
                var answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
                int status = answer.statusCode();
                if (status == 200) {
                    return answer.body();
                }
                if (status != 408 && status != 429 && status < 500) { // sending it again changes nothing
                    throw new IllegalArgumentException(status + ": " + answer.body());
                }
                wait = answer.headers().firstValueAsLong("Retry-After").orElse(pause);
            } catch (IOException error) {
                // no answer: it may be in the log or not
            }
            Thread.sleep(1000 * wait);
        }
    }

    public static void main(String[] words) throws Exception {
        var now = Instant.now();
        System.out.println(publish("""
            {"type": "user.registered.v1", "user_id": "1", "username": "ada", "registered_at": "%s"}""".formatted(now)));
        System.out.println(publish("""
            {"type": "submission.solved.v1", "submission_id": "1", "user_id": "1", "problem_id": "two-sum",
             "judged_at": "%s"}""".formatted(now)));
    }
}
