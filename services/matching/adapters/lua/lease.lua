-- Takes or keeps the lease of a pool. Two owners at once are harmless; the lease only spares work.
-- KEYS  1 lease (a string with a TTL; nothing indexes it)
-- ARGV  1 owner  2 milliseconds to hold it; 0 gives it back
-- Gives 0 another holds it, or, when it was given back, nobody or another did; 1 it was the owner's
--       already; 2 it was nobody's and is the owner's now.
-- Cost  O(1).
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  if ARGV[2] == '0' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return 1
end
if owner or ARGV[2] == '0' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 2
