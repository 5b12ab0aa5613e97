-- Writes users' standings unless Redis has newer ones (an equal one repairs a lost member), moves the watermarks of the
-- partitions they came from, counts beside them who joined the board and left it, and reports whose standing is newer.
-- KEYS: 1 board (sorted set), 2 versions (hash), 3 watermarks (hash), 4 changes (stream)
-- ARGV: 1 epoch, 2 number of users, then for each: user_id, version, score ('' takes the user off the board)
--       then for each partition: name, from, to
-- Returns the names of partitions whose watermark is below `from`: an earlier write is missing.
local MAX_USERS, MAX_BYTES, KEPT_CHANGES = 200, 32768, 1000
local SECONDS_RANGE = 4294967296
local users = tonumber(ARGV[2])
local at = 3
local newer, joined = {}, 0
for _ = 1, users do
    local user_id, version, score = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local known = redis.call('HGET', KEYS[2], user_id)
    if not known or tonumber(version) >= tonumber(known) then
        redis.call('HSET', KEYS[2], user_id, version)
        local is_on_board = score ~= ''
        local moves = is_on_board
        if is_on_board then
            joined = joined + redis.call('ZADD', KEYS[1], score, user_id)
        else
            local left = redis.call('ZREM', KEYS[1], user_id)
            moves, joined = left == 1, joined - left
        end
        -- who was not on the board and is not now moved nobody, and may be hidden
        if moves and version ~= known then
            newer[#newer + 1] = at
        end
    end
    at = at + 3
end
if joined ~= 0 then
    redis.call('HINCRBY', KEYS[3], 'joined', joined)
end
if #newer > 0 then
    local reported = {}
    for place = 1, #newer <= MAX_USERS and #newer or 0 do
        local user_id, version, score = ARGV[newer[place]], ARGV[newer[place] + 1], ARGV[newer[place] + 2]
        local problems, last = 0, 'null'
        if score ~= '' then
            local packed = -tonumber(score)
            problems = math.floor(packed / SECONDS_RANGE)
            last = string.format('%.0f', SECONDS_RANGE - 1 - (packed - problems * SECONDS_RANGE))
        end
        -- the version as a string: cjson would keep only 14 of its digits
        reported[place] = string.format('[%s,%d,%s,%s]', cjson.encode(user_id), problems, last, version)
    end
    local field, value = 'users', '[' .. table.concat(reported, ',') .. ']'
    if #reported == 0 or #value > MAX_BYTES then
        field, value = 'many', '1'
    end
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', KEPT_CHANGES, '*', 'epoch', ARGV[1], field, value)
end
local stale = {}
while at <= #ARGV do
    local partition, from, to = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    at = at + 3
    local reached = tonumber(redis.call('HGET', KEYS[3], partition) or '0')
    if from <= reached then
        if to > reached then
            redis.call('HSET', KEYS[3], partition, ARGV[at - 1])
        end
    else
        -- a write beyond a gap is remembered as one run, which joins the watermark once the gap is closed
        local run_end = tonumber(redis.call('HGET', KEYS[3], partition .. ':run_end') or '-1')
        local run_begin = tonumber(redis.call('HGET', KEYS[3], partition .. ':run_begin') or '-1')
        if run_begin >= 0 and from >= run_begin and from <= run_end then
            if to > run_end then
                redis.call('HSET', KEYS[3], partition .. ':run_end', ARGV[at - 1])
            end
        else
            redis.call('HSET', KEYS[3], partition .. ':run_begin', ARGV[at - 2], partition .. ':run_end', ARGV[at - 1])
        end
        stale[#stale + 1] = partition
    end
end
return stale
