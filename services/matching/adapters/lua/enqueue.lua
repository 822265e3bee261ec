-- Writes what SQL says of some tickets into the pool's queue.
-- KEYS  1 q (ZSET of waiting tickets)  2 ev (STREAM)  3… t:<ticket> of each (HASH)
-- ARGV  1 announce: 1 or 0  2 longest ev
--       then for each: ticket, version, waiting: 1 or 0, score
-- Gives how many were applied; a ticket of which the pool holds a newer version is left alone.
-- Cost  O(k log n) for k of them, at most 64. What is written again with the same version is put
--       right whatever the hash says; of a newer one only what is new is written. A ticket that a
--       claim holds stays out of q until the claim is settled. A ticket that is gone leaves its
--       version for an hour, so that a late hint does not bring it back.
local applied = 0
for i = 3, #KEYS do
  local at = (i - 3) * 4 + 2
  local id, version, waiting, score = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local held = redis.call('HMGET', KEYS[i], 'v', 'c', 'w')
  if not held[1] or tonumber(held[1]) <= tonumber(version) then
    redis.call('HSET', KEYS[i], 'v', version, 'w', waiting, 's', score)
    if waiting == '1' then
      if held[1] then redis.call('PERSIST', KEYS[i]) end
      if not held[2] then redis.call('ZADD', KEYS[1], score, id) end
    elseif held[3] ~= '0' or held[1] == version then
      redis.call('ZREM', KEYS[1], id)
      redis.call('EXPIRE', KEYS[i], 3600)
    end
    if ARGV[1] == '1' then
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'k', 't', 'id', id, 'v', version)
    end
    applied = applied + 1
  end
end
return applied
