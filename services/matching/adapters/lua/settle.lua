-- Ends claims and writes what SQL says of their tickets and sponsors, whatever was decided.
-- KEYS  1 q  2 avail  3 claims  4 ev
--       then for each claim: t:<ticket>, s:<sponsor>
-- ARGV  1 announce: 1 or 0  2 longest ev
--       then for each claim: ticket, sponsor, ticket's version, waiting: 1 or 0, ticket's score,
--       sponsor's version, free seats, sponsor's score
-- Gives how many of the claims were still there; the states are written in any case, each unless
--       the pool already holds a newer version.
-- Cost  O(k log n) for k of them, at most 64.
local function settle(t, s, at)
  local ticket, sponsor = ARGV[at + 1], ARGV[at + 2]
  local claimed = redis.call('ZREM', KEYS[3], ticket .. ':' .. sponsor)
  if claimed == 1 then
    redis.call('HDEL', t, 'c')
    if redis.call('HINCRBY', s, 'h', -1) < 0 then redis.call('HSET', s, 'h', '0') end
  end

  local held = redis.call('HMGET', t, 'v', 'w', 's', 'c')
  local waiting, score = held[2], held[3]
  if not held[1] or tonumber(held[1]) <= tonumber(ARGV[at + 3]) then
    waiting, score = ARGV[at + 4], ARGV[at + 5]
    redis.call('HSET', t, 'v', ARGV[at + 3], 'w', waiting, 's', score)
  end
  if waiting == '1' and not held[4] then
    redis.call('PERSIST', t)
    redis.call('ZADD', KEYS[1], score, ticket)
  elseif waiting ~= '1' then
    if claimed == 0 then redis.call('ZREM', KEYS[1], ticket) end  -- a claim keeps it out of q
    redis.call('EXPIRE', t, 3600)
  end

  held = redis.call('HMGET', s, 'v', 'f', 's', 'h')
  local free = held[2]
  score = held[3]
  if not held[1] or tonumber(held[1]) <= tonumber(ARGV[at + 6]) then
    free, score = ARGV[at + 7], ARGV[at + 8]
    redis.call('HSET', s, 'v', ARGV[at + 6], 'f', free, 's', score)
  end
  if tonumber(free) > tonumber(held[4] or '0') then
    redis.call('ZADD', KEYS[2], score, sponsor)
  else
    redis.call('ZREM', KEYS[2], sponsor)
  end

  if ARGV[1] == '1' then
    local function announce(kind, id, version)
      redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[2], '*', 'k', kind, 'id', id, 'v', version)
    end
    announce('t', ticket, ARGV[at + 3])
    announce('s', sponsor, ARGV[at + 6])
  end
  return claimed
end

local ended = 0
for i = 1, (#KEYS - 4) / 2 do
  ended = ended + settle(KEYS[3 + 2 * i], KEYS[4 + 2 * i], (i - 1) * 8 + 2)
end
return ended
