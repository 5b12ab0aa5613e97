// Node 18 or newer, without packages.
import { setTimeout as sleep } from 'node:timers/promises'

const { GATEWAY_URL, GATEWAY_TOKEN } = process.env

// Sends the same event until the log has it; the same event counts once, so sending it again is safe.
async function publish (event) {
  for (let pause = 1; ; pause = Math.min(2 * pause, 60)) {
    const answer = await fetch(`${GATEWAY_URL}/v1/events`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${GATEWAY_TOKEN}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(60_000)
    }).catch(() => null) // no answer: it may be in the log or not
    if (answer?.ok) return await answer.json()
    if (answer && ![408, 429].includes(answer.status) && answer.status < 500) {
      throw new Error(`${answer.status}: ${(await answer.json()).detail}`) // sending it again changes nothing
    }
    await sleep(1000 * (Number(answer?.headers.get('retry-after')) || pause))
  }
}

const now = new Date().toISOString()
console.log(await publish({ type: 'user.registered.v1', user_id: '1', username: 'ada', registered_at: now }))
console.log(await publish({
  type: 'submission.solved.v1', submission_id: '1', user_id: '1', problem_id: 'two-sum', judged_at: now
}))
