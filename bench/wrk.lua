-- Asks for one page of random users: wrk -s wrk.lua URL -- USERS PATH, where PATH may hold %d for a user's number.
-- Figures go to standard error as one line of JSON.
local users, path

function init(args)
   users, path = tonumber(args[1]), args[2]
   math.randomseed(users)
end

function request()
   return wrk.format("GET", string.format(path, math.random(0, users - 1)))
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.stderr:write(string.format(
      '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
