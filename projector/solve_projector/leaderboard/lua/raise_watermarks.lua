-- Records, after all users of a snapshot were written, that everything below these offsets is on the leaderboard.
-- KEYS: 1 watermarks (hash); ARGV: 1 run id of the server that has the users, or nothing, then for each partition: name,
--       offset
if ARGV[1] ~= '' then
    redis.call('HSET', KEYS[1], 'server', ARGV[1])
end
for at = 2, #ARGV, 2 do
    local partition, reached = ARGV[at], tonumber(ARGV[at + 1])
    local before = tonumber(redis.call('HGET', KEYS[1], partition) or '0')
    if before > reached then
        reached = before
    end
    local run_begin = tonumber(redis.call('HGET', KEYS[1], partition .. ':run_begin') or '-1')
    local run_end = tonumber(redis.call('HGET', KEYS[1], partition .. ':run_end') or '-1')
    if run_begin >= 0 and run_begin <= reached then
        if run_end > reached then
            reached = run_end
        end
        redis.call('HDEL', KEYS[1], partition .. ':run_begin', partition .. ':run_end')
    end
    redis.call('HSET', KEYS[1], partition, string.format('%d', reached))
end
