-- Sends events that were never sent before: wrk -s wrk_events.lua URL -- TOKEN LINES, with so many in each request.
-- Figures go to standard error as one line of JSON.
local lines, number, run = 1, 0, ""
local EVENT = '{"type":"submission.solved.v1","submission_id":"%s-%d","user_id":"user-%d","problem_id":"p-%d",' ..
   '"judged_at":"2026-01-02T03:04:05Z","language":"cpp"}'

function init(args)
   lines, run = tonumber(args[2]), tostring(os.time())
   wrk.headers["Authorization"] = "Bearer " .. args[1]
   wrk.headers["Content-Type"] = lines > 1 and "application/x-ndjson" or "application/json"
end

function request()
   local events = {}
   for at = 1, lines do
      number = number + 1
      events[at] = string.format(EVENT, run, number, number % 1000, number)
   end
   return wrk.format("POST", "/v1/events", nil, table.concat(events, "\n"))
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.stderr:write(string.format(
      '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
