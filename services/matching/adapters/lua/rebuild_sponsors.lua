-- Writes a chunk of sponsors, as set_sponsor does one, without a word in ev.
-- KEYS  1 avail  2… s:<sponsor> of each
-- ARGV  for each: sponsor, version, free seats, score
-- Gives how many were applied; a sponsor of whom the pool holds a newer version is left alone.
-- Cost  O(k log n) for k of them, at most 500.
local applied = 0
for i = 2, #KEYS do
  local at = (i - 2) * 4
  local held = redis.call('HMGET', KEYS[i], 'v', 'h')
  if not held[1] or tonumber(held[1]) <= tonumber(ARGV[at + 2]) then
    redis.call('HSET', KEYS[i], 'v', ARGV[at + 2], 'f', ARGV[at + 3], 's', ARGV[at + 4])
    if tonumber(ARGV[at + 3]) > tonumber(held[2] or '0') then
      redis.call('ZADD', KEYS[1], ARGV[at + 4], ARGV[at + 1])
    else
      redis.call('ZREM', KEYS[1], ARGV[at + 1])
    end
    applied = applied + 1
  end
end
return applied
