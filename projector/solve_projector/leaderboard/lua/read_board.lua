-- Pages of the leaderboard that readers see, and the ranks of some users, all of one moment.
-- KEYS: 1 the current epoch
-- ARGV: 1 prefix of the keys, 2 the pages as one JSON text, since a client spends longer on many arguments; each is
--       [mode ('begin', 'after', 'before' or 'around'), limit, score and user_id of the rank key that the mode refers to
--       ('around' uses the user_id only), [the user ids whose ranks are asked for]], 3 nothing, or what was seen before as
--       [epoch, how many members it had less than joined, {field of watermarks: offset}]
-- Returns nothing if there is no leaderboard, or if it lacks what was seen: Redis failed over, was restored, or evicted
-- the sorted set alone; else its size, and for each page the index of the first row, how many have a better score than
-- it, the rows (member, score, ...), and of each user asked for how many have a better score, and the score (empty if
-- they are not on it).
local epoch = redis.call('GET', KEYS[1])
if not epoch then
    return nil
end
local board = ARGV[1] .. ':' .. epoch .. ':board'
local total = redis.call('ZCARD', board)

if ARGV[3] ~= '' then
    local seen = cjson.decode(ARGV[3])
    local watermarks = ARGV[1] .. ':' .. epoch .. ':watermarks'
    local joined = tonumber(redis.call('HGET', watermarks, 'joined') or 0)
    if tonumber(epoch) < seen[1] or (tonumber(epoch) == seen[1] and total < joined - seen[2]) then
        return nil
    end
    for field, offset in pairs(seen[3]) do
        if tonumber(redis.call('HGET', watermarks, field) or 0) < offset then
            return nil
        end
    end
end

-- By bytes, like the sorted set; Lua's own comparison depends on the server's locale.
local function before(a, b)
    local length = math.min(#a, #b)
    for i = 1, length do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return #a < #b
end

-- Who has the same score shares the rank.
local function better(score)
    return redis.call('ZCOUNT', board, '-inf', '(' .. score)
end

-- The number of members before the rank key; `also` counts a member equal to it.
local function standing_before(score, user_id, also)
    local low = better(score)
    local high = redis.call('ZCOUNT', board, '-inf', score)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local member = redis.call('ZRANGE', board, middle, middle)[1]
        if before(member, user_id) or (also and member == user_id) then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

local function page(mode, limit, score, user_id)
    local begin = 0
    if mode == 'after' then
        begin = standing_before(score, user_id, true)
    elseif mode == 'before' then
        local last = standing_before(score, user_id, false)
        begin = math.max(0, last - limit)
        limit = last - begin
    elseif mode == 'around' then
        local index = redis.call('ZRANK', board, user_id)
        if index then
            begin = math.max(0, index - math.floor(limit / 2))
        end
    end
    if limit > 0 then
        return begin, redis.call('ZRANGE', board, begin, begin + limit - 1, 'WITHSCORES')
    end
    return begin, {}
end

local answer = { total }
for _, asked in ipairs(cjson.decode(ARGV[2])) do
    local begin, rows = page(asked[1], asked[2], asked[3], asked[4])
    local places = {}
    for _, user_id in ipairs(asked[5]) do
        local score = redis.call('ZSCORE', board, user_id)
        places[#places + 1] = score and better(score) or ''
        places[#places + 1] = score or ''
    end
    answer[#answer + 1] = { begin, rows[2] and better(rows[2]) or begin, rows, places }
end
return answer
