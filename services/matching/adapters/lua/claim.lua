-- Reserves tickets and seats for each other, one after another, each pair or neither of the two.
-- KEYS  1 q  2 avail  3 claims (ZSET, score = deadline)
--       then for each claim: t:<ticket>, s:<sponsor>
-- ARGV  1 deadline in milliseconds since 1970
--       then for each claim: ticket, sponsor, ticket's version, sponsor's version, as the caller
--       knows them
-- Gives for each: 0 claimed; 1 the ticket is not in q; 2 the sponsor is not in avail; 3 the pool
--       knows a newer version of the ticket; 4 of the sponsor. Nothing changes unless 0.
-- Cost  O(k log n) for k of them, at most 64. Scores stay in the hashes; whoever settles or sweeps
--       the claim puts them back.
local function claim(t, s, ticket, sponsor, ticket_version, sponsor_version)
  -- In q is who waits and is not claimed; in avail is who has more free seats than are held.
  local waits = redis.call('HMGET', t, 'v', 'w', 'c')
  if waits[2] ~= '1' or waits[3] then return 1 end
  local seats = redis.call('HMGET', s, 'v', 'f', 'h')
  if not seats[1] or tonumber(seats[2]) <= tonumber(seats[3] or '0') then return 2 end
  if tonumber(waits[1]) > tonumber(ticket_version) then return 3 end
  if tonumber(seats[1]) > tonumber(sponsor_version) then return 4 end
  redis.call('ZREM', KEYS[1], ticket)
  redis.call('HSET', t, 'c', '1')
  redis.call('ZADD', KEYS[3], ARGV[1], ticket .. ':' .. sponsor)
  local held = redis.call('HINCRBY', s, 'h', 1)
  if tonumber(seats[2]) <= held then redis.call('ZREM', KEYS[2], sponsor) end
  return 0
end

local results = {}
for i = 1, (#KEYS - 3) / 2 do
  local at = (i - 1) * 4 + 1
  results[i] = claim(KEYS[2 + 2 * i], KEYS[3 + 2 * i], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3],
                     ARGV[at + 4])
end
return results
