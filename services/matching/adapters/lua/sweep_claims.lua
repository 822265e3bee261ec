-- Lists claims whose deadline has passed, oldest first. It changes nothing: whoever asks reads SQL
-- and settles each one.
-- KEYS  1 claims
-- ARGV  1 now in milliseconds since 1970  2 at most so many
-- Gives the claims, "<ticket>:<sponsor>" each.
-- Cost  O(log n + count).
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
