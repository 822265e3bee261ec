-- Ends a claim and writes what SQL says of its ticket and its sponsor, whatever was decided.
-- KEYS  1 q  2 avail  3 t:<ticket>  4 s:<sponsor>  5 claims  6 ev
-- ARGV  1 ticket  2 sponsor  3 ticket's version  4 waiting: 1 or 0  5 ticket's score
--       6 sponsor's version  7 free seats  8 sponsor's score  9 announce: 1 or 0  10 longest ev
-- Gives 1 when the claim was still there, 0 when it was not; the states are written in both cases,
--       each unless the pool already holds a newer version.
-- Cost  O(log n).
local claimed = redis.call('ZREM', KEYS[5], ARGV[1] .. ':' .. ARGV[2])
if claimed == 1 then
  redis.call('HDEL', KEYS[3], 'c')
  if redis.call('HINCRBY', KEYS[4], 'h', -1) <= 0 then redis.call('HDEL', KEYS[4], 'h') end
end
local version = redis.call('HGET', KEYS[3], 'v')
if not version or tonumber(version) <= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[3], 'v', ARGV[3], 'w', ARGV[4], 's', ARGV[5])
end
local ticket = redis.call('HMGET', KEYS[3], 'w', 's', 'c')
if ticket[1] == '1' and not ticket[3] then
  redis.call('PERSIST', KEYS[3])
  redis.call('ZADD', KEYS[1], ticket[2], ARGV[1])
elseif ticket[1] ~= '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[3], 3600)
end
version = redis.call('HGET', KEYS[4], 'v')
if not version or tonumber(version) <= tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[4], 'v', ARGV[6], 'f', ARGV[7], 's', ARGV[8])
end
local sponsor = redis.call('HMGET', KEYS[4], 'f', 'h', 's')
if tonumber(sponsor[1]) > tonumber(sponsor[2] or '0') then
  redis.call('ZADD', KEYS[2], sponsor[3], ARGV[2])
else
  redis.call('ZREM', KEYS[2], ARGV[2])
end
if ARGV[9] == '1' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[10], '*', 'k', 't', 'id', ARGV[1], 'v', ARGV[3])
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[10], '*', 'k', 's', 'id', ARGV[2], 'v', ARGV[6])
end
return claimed
