-- Writes a chunk of waiting tickets, as enqueue does one, without a word in ev.
-- KEYS  1 q  2… t:<ticket> of each
-- ARGV  for each: ticket, version, score
-- Gives how many were applied; a ticket of which the pool holds a newer version is left alone.
-- Cost  O(k log n) for k of them, at most 500; 5 us each where the pool was empty.
local adds, count, applied = {}, 0, 0
for i = 2, #KEYS do
  local at = (i - 2) * 3
  local held = redis.call('HMGET', KEYS[i], 'v', 'c')
  if not held[1] or tonumber(held[1]) <= tonumber(ARGV[at + 2]) then
    redis.call('HSET', KEYS[i], 'v', ARGV[at + 2], 'w', '1', 's', ARGV[at + 3])
    if held[1] then redis.call('PERSIST', KEYS[i]) end
    if not held[2] then
      adds[count + 1] = ARGV[at + 3]
      adds[count + 2] = ARGV[at + 1]
      count = count + 2
    end
    applied = applied + 1
  end
end
if count > 0 then redis.call('ZADD', KEYS[1], unpack(adds)) end
return applied
