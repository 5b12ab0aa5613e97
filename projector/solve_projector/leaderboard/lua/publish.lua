-- Switches readers to an epoch unless they see a newer one, and reports the switch.
-- KEYS: 1 the current epoch, 2 changes (stream); ARGV: 1 epoch
-- Returns 1 if they see this epoch now.
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'epoch', ARGV[1], 'many', '1')
return 1
