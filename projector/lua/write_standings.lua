-- Writes users' standings where they are not older (the same again mends a lost member), and moves the watermarks of the partitions they came from.
-- KEYS: 1 board (sorted set), 2 versions (hash), 3 watermarks (hash)
-- ARGV: 1 number of users, then for each: user_id, version, score ('' takes the user off the board)
--       then for each partition: name, from, to
-- Answers the names of partitions whose watermark did not reach `from`: a write before this one is missing.
local users = tonumber(ARGV[1])
local at = 2
for _ = 1, users do
    local user_id, version, score = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    at = at + 3
    local known = redis.call('HGET', KEYS[2], user_id)
    if not known or tonumber(version) >= tonumber(known) then
        redis.call('HSET', KEYS[2], user_id, version)
        if score == '' then
            redis.call('ZREM', KEYS[1], user_id)
        else
            redis.call('ZADD', KEYS[1], score, user_id)
        end
    end
end
local behind = {}
while at <= #ARGV do
    local partition, from, to = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    at = at + 3
    local reached = tonumber(redis.call('HGET', KEYS[3], partition) or '0')
    if from <= reached then
        if to > reached then
            redis.call('HSET', KEYS[3], partition, ARGV[at - 1])
        end
    else
        -- what is written beyond a gap is remembered as one run, and joins the watermark when the gap is closed
        local run_end = tonumber(redis.call('HGET', KEYS[3], partition .. ':run_end') or '-1')
        local run_begin = tonumber(redis.call('HGET', KEYS[3], partition .. ':run_begin') or '-1')
        if run_begin >= 0 and from >= run_begin and from <= run_end then
            if to > run_end then
                redis.call('HSET', KEYS[3], partition .. ':run_end', ARGV[at - 1])
            end
        else
            redis.call('HSET', KEYS[3], partition .. ':run_begin', ARGV[at - 2], partition .. ':run_end', ARGV[at - 1])
        end
        behind[#behind + 1] = partition
    end
end
return behind
