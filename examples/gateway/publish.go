// Go 1.19 or newer, without modules: go run publish.go
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

var client = &http.Client{Timeout: time.Minute}

// publish sends the same event until the log has it; the same event counts once, so sending it again is safe.
func publish(event map[string]string) (string, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return "", err
	}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		wait := pause
		request, err := http.NewRequest("POST", os.Getenv("GATEWAY_URL")+"/v1/events", bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("GATEWAY_TOKEN"))
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(request)
		if err == nil { // else it may be in the log or not
			said, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return string(said), nil
			}
			if answer.StatusCode != 408 && answer.StatusCode != 429 && answer.StatusCode < 500 {
				// sending it again changes nothing
				return "", fmt.Errorf("%d: %s", answer.StatusCode, said)
			}
			if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
				wait = time.Duration(seconds) * time.Second
			}
		}
		time.Sleep(wait)
	}
}

func min(one, other time.Duration) time.Duration {
	if one < other {
		return one
	}
	return other
}

func main() {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for _, event := range []map[string]string{
		{"type": "user.registered.v1", "user_id": "1", "username": "ada", "registered_at": now},
		{"type": "submission.solved.v1", "submission_id": "1", "user_id": "1", "problem_id": "two-sum", "judged_at": now},
	} {
		said, err := publish(event)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(said)
	}
}
