-- Writes what SQL says of some sponsors into the pool's list of free seats.
-- KEYS  1 avail (ZSET of sponsors with a free seat)  2 ev (STREAM)  3… s:<sponsor> of each (HASH)
-- ARGV  1 announce: 1 or 0  2 longest ev
--       then for each: sponsor, version, free seats by SQL, score
-- A version below 0: SQL has no such sponsor; whatever it says of them later is newer.
-- Gives how many were applied; a sponsor of whom the pool holds a newer version is left alone.
-- Cost  O(k log n) for k of them, at most 64. What is written again with the same version is put
--       right whatever the hash says; of a newer one only what is new is written. Seats that open
--       claims reserve (h) are taken off the free ones.
local applied = 0
for i = 3, #KEYS do
  local at = (i - 3) * 4 + 2
  local id, version, free, score = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local held = redis.call('HMGET', KEYS[i], 'v', 'h', 'f', 's')
  if tonumber(version) < 0 then
    redis.call('HSET', KEYS[i], 'v', '0', 'f', '0')
    redis.call('ZREM', KEYS[1], id)
    applied = applied + 1
  elseif not held[1] or tonumber(held[1]) <= tonumber(version) then
    redis.call('HSET', KEYS[i], 'v', version, 'f', free, 's', score)
    local same = held[1] ~= version and free == held[3] and score == held[4]
    if tonumber(free) <= tonumber(held[2] or '0') then
      if not same then redis.call('ZREM', KEYS[1], id) end
    elseif not same then
      redis.call('ZADD', KEYS[1], score, id)
    end
    if ARGV[1] == '1' then
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'k', 's', 'id', id, 'v', version)
    end
    applied = applied + 1
  end
end
return applied
