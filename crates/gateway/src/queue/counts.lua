-- How many jobs of a BullMQ queue are in which state, all at one moment.
-- KEYS[1]  the list `wait`; all other keys begin like it
local base = string.sub(KEYS[1], 1, -5)
local function list(name) return redis.call('LLEN', base .. name) end
local function set(name) return redis.call('ZCARD', base .. name) end
return {
  redis.call('LLEN', KEYS[1]), list('paused'), set('prioritized'), list('active'), set('delayed'),
  set('completed'), set('failed'), set('waiting-children'),
  redis.call('HEXISTS', base .. 'meta', 'paused'),
  tonumber(redis.call('GET', base .. 'id') or 0),
  tonumber(redis.call('HGET', base .. 'metrics:failed', 'count') or 0),
}
