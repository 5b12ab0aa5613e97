-- What Redis holds of one epoch, and which server it is, all of one moment.
-- KEYS: 1 the current epoch; ARGV: 1 prefix of the keys, 2 epoch, or nothing for the one that readers see
-- Returns the current epoch (false: no leaderboard), the watermarks' fields, the numbers of members and of versions,
-- and the server's run id, which another server or a restart changes (empty where it may not be read).
local current = redis.call('GET', KEYS[1])
local keys = ARGV[1] .. ':' .. (ARGV[2] ~= '' and ARGV[2] or current or '-') .. ':'
local said = redis.pcall('INFO', 'server')
local server = type(said) == 'string' and string.match(said, 'run_id:(%x+)') or ''
return {
    current, redis.call('HGETALL', keys .. 'watermarks'), redis.call('ZCARD', keys .. 'board'),
    redis.call('HLEN', keys .. 'versions'), server
}
