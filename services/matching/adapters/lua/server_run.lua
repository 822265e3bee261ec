-- Names the run of the server on which it runs: whose process, and which history of the data.
-- KEYS  1 epoch of any pool; it is not read, and only leads to the server that holds the pool
-- Gives "<run id>;<replication id>". Another name means another process or another primary.
-- Cost  O(1), two INFO sections.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
return run .. ';' .. replication
