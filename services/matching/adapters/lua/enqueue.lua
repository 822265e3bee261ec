-- Writes what SQL says of one ticket into the pool's queue.
-- KEYS  1 q (ZSET of waiting tickets)  2 t:<ticket> (HASH)  3 ev (STREAM)
-- ARGV  1 ticket  2 version  3 waiting: 1 or 0  4 score  5 announce: 1 or 0  6 longest ev
-- Gives 1 when it was applied, 0 when the pool already holds a newer version.
-- Cost  O(log n). A ticket that a claim holds stays out of q until the claim is settled. A ticket that
--       is gone leaves its version for an hour, so that a late hint does not bring it back.
local held = redis.call('HMGET', KEYS[2], 'v', 'c')
if held[1] and tonumber(held[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'v', ARGV[2], 'w', ARGV[3], 's', ARGV[4])
if ARGV[3] == '1' then
  redis.call('PERSIST', KEYS[2])
  if not held[2] then redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1]) end
else
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[2], 3600)
end
if ARGV[5] == '1' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'k', 't', 'id', ARGV[1], 'v', ARGV[2])
end
return 1
