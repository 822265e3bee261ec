-- Writes what SQL says of one sponsor into the pool's list of free seats.
-- KEYS  1 avail (ZSET of sponsors with a free seat)  2 s:<sponsor> (HASH)  3 ev (STREAM)
-- ARGV  1 sponsor  2 version  3 free seats by SQL  4 score  5 announce: 1 or 0  6 longest ev
-- A version below 0: SQL has no such sponsor; whatever it says of them later is newer.
-- Gives 1 when it was applied, 0 when the pool already holds a newer version.
-- Cost  O(log n). Seats that open claims reserve (h) are taken off the free ones.
local held = redis.call('HMGET', KEYS[2], 'v', 'h')
if tonumber(ARGV[2]) < 0 then
  redis.call('HSET', KEYS[2], 'v', '0', 'f', '0')
  redis.call('ZREM', KEYS[1], ARGV[1])
  return 1
end
if held[1] and tonumber(held[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'v', ARGV[2], 'f', ARGV[3], 's', ARGV[4])
if tonumber(ARGV[3]) > tonumber(held[2] or '0') then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
if ARGV[5] == '1' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'k', 's', 'id', ARGV[1], 'v', ARGV[2])
end
return 1
