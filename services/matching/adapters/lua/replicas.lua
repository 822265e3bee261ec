-- Says that a replica is there for a while yet, and names all who are. Whose time is over is
-- forgotten. Nobody decides anything by it: it only spreads the pools.
-- KEYS  1 replicas (ZSET: a replica, until when in ms)
-- ARGV  1 replica  2 now, ms  3 until when, ms; 0 takes it out
-- Gives the replicas, at most 1,000, in no order that means anything.
-- Cost  O(log n + n), n replicas.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])) do
  redis.call('ZREM', KEYS[1], gone)
end
if ARGV[3] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'LIMIT', 0, 1000)
