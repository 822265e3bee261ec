-- Reserves one ticket and one seat for each other, or neither.
-- KEYS  1 q  2 avail  3 t:<ticket>  4 s:<sponsor>  5 claims (ZSET, score = deadline)
-- ARGV  1 ticket  2 sponsor  3 ticket's version  4 sponsor's version, as the caller knows them
--       5 deadline in milliseconds since 1970
-- Gives 0 claimed; 1 the ticket is not in q; 2 the sponsor is not in avail; 3 the pool knows a newer
--       version of the ticket; 4 of the sponsor. Nothing changes unless 0.
-- Cost  O(log n). Scores stay in the hashes; whoever settles or sweeps the claim puts them back.
local ticket_version = redis.call('HGET', KEYS[3], 'v')
if not ticket_version or not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
local sponsor = redis.call('HMGET', KEYS[4], 'v', 'f', 'h')
if not sponsor[1] or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then return 2 end
if tonumber(ticket_version) > tonumber(ARGV[3]) then return 3 end
if tonumber(sponsor[1]) > tonumber(ARGV[4]) then return 4 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[3], 'c', '1')
redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1] .. ':' .. ARGV[2])
local held = redis.call('HINCRBY', KEYS[4], 'h', 1)
if tonumber(sponsor[2]) <= held then redis.call('ZREM', KEYS[2], ARGV[2]) end
return 0
