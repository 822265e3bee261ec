-- Sets the mark of a pool if it is still what the caller saw.
-- KEYS  1 epoch (a string; absent is the same as empty)
-- ARGV  1 what it has to be  2 what it becomes
-- Gives 1 when it was set, 0 when it was something else.
-- Cost  O(1).
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
