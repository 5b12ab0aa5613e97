<?php
// PHP 8.1 or newer with its curl extension: php publish.php
declare(strict_types=1);

/** Sends the same event until the log has it; the same event counts once, so sending it again is safe. */
function publish(array $event): array
{
    for ($pause = 1; ; $pause = min(2 * $pause, 60)) {
        $retryAfter = null;
        $curl = curl_init(getenv('GATEWAY_URL') . '/v1/events');
        curl_setopt_array($curl, [
            CURLOPT_POSTFIELDS => json_encode($event, JSON_THROW_ON_ERROR),
            CURLOPT_HTTPHEADER => ['Authorization: Bearer ' . getenv('GATEWAY_TOKEN'), 'Content-Type: application/json'],
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => 60,
            CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$retryAfter): int {
                if (preg_match('/^retry-after:\s*(\d+)/i', $line, $found)) {
                    $retryAfter = (int) $found[1];
                }
                return strlen($line);
            },
        ]);
        $said = curl_exec($curl); // false: no answer, so it may be in the log or not
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        if ($said !== false && $status === 200) {
            return json_decode($said, true, flags: JSON_THROW_ON_ERROR);
        }
        if ($said !== false && $status !== 408 && $status !== 429 && $status < 500) { // sending it again changes nothing
            throw new InvalidArgumentException("$status: $said");
        }
        sleep($retryAfter ?? $pause);
    }
}

$now = gmdate('Y-m-d\TH:i:s\Z');
print_r(publish(['type' => 'user.registered.v1', 'user_id' => '1', 'username' => 'ada', 'registered_at' => $now]));
print_r(publish([
    'type' => 'submission.solved.v1', 'submission_id' => '1', 'user_id' => '1', 'problem_id' => 'two-sum',
    'judged_at' => $now,
]));
