-- Adds one job to a BullMQ queue, if the depth is below a limit. All or nothing: Redis refuses a script's first write when it is
-- full, and there is no write before the last question.
--
-- KEYS[1]  the list `wait`, which also tells the slot; all other keys begin like it
-- ARGV     1 name, 2 data, 3 options, 4 timestamp, 5 priority (0 for a plain job), 6 limit or '',
--          7 an id or '' for the next number, 8 milliseconds for which that id is remembered
-- Returns  1, id, depth: added   0, '', depth: the depth is at the limit   2, id, depth: the id was there before
local base = string.sub(KEYS[1], 1, -5)
local depth = redis.call('LLEN', KEYS[1]) + redis.call('LLEN', base .. 'paused')
  + redis.call('LLEN', base .. 'active') + redis.call('ZCARD', base .. 'prioritized')
if ARGV[6] ~= '' and depth >= tonumber(ARGV[6]) then
  return {0, '', depth}
end

local id = ARGV[7]
if id ~= '' then
  -- The hash of a job may be gone again once it is done, so the id is remembered apart from it.
  if redis.call('EXISTS', base .. id) == 1
    or not redis.call('SET', base .. 'accepted:' .. id, 1, 'NX', 'PX', ARGV[8]) then
    return {2, id, depth}
  end
  redis.call('INCR', base .. 'id')
else
  id = tostring(redis.call('INCR', base .. 'id'))
end

local meta = redis.call('HMGET', base .. 'meta', 'paused', 'version', 'opts.maxLenEvents')
local paused = meta[1] ~= false
redis.call('HSET', base .. id, 'name', ARGV[1], 'data', ARGV[2], 'opts', ARGV[3], 'timestamp', ARGV[4],
  'delay', '0', 'priority', ARGV[5])
local events, most = base .. 'events', meta[3] or '10000'
redis.call('XADD', events, 'MAXLEN', '~', most, '*', 'event', 'added', 'jobId', id, 'name', ARGV[1])

local priority = tonumber(ARGV[5])
if priority > 0 then
  -- Order within one priority is that of arrival. The sum is an exact integer below 2^53.
  local turn = redis.call('INCR', base .. 'pc') % 4294967296
  redis.call('ZADD', base .. 'prioritized', string.format('%.0f', priority * 4294967296 + turn), id)
elseif paused and meta[2] and string.match(meta[2], '^bullmq:[0-5]%.') then
  -- BullMQ 5 renames `wait` while it is paused, and takes back only what is in the renamed list.
  redis.call('LPUSH', base .. 'paused', id)
else
  redis.call('LPUSH', KEYS[1], id)
end
if not paused then
  redis.call('ZADD', base .. 'marker', 0, '0')
end
redis.call('XADD', events, 'MAXLEN', '~', most, '*', 'event', 'waiting', 'jobId', id)
return {1, id, depth}
