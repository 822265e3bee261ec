-- Takes or keeps the lease of a pool. Two owners at once are harmless; the lease only spares work.
-- KEYS  1 lease (a string with a TTL; nothing indexes it)
-- ARGV  1 owner  2 milliseconds to hold it; 0 gives it back
-- Gives 1 when the owner holds it afterwards, else 0.
-- Cost  O(1).
local owner = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  if owner == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return 0
end
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
if owner then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
