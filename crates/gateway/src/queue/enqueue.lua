-- Adds jobs to a BullMQ queue, each if the depth is below its limit. All or nothing: Redis refuses a script's first write when it is
-- full, and the first write here is one that takes memory.
--
-- KEYS[1]  the list `wait`, which also tells the slot; all other keys begin like it
-- ARGV     1 options up to the priority, 2 options from there on, 3 milliseconds for which `sent` is kept,
--          4 milliseconds of a generation of `seen`, 5 most ids in `seen`, 6 how many ids can be forgotten, then those ids;
--          then for each job: id, name, data, timestamp, priority (0 for a plain job), limit or '', and how its id is remembered:
--            0 not at all: nobody sends the job again
--            1 until it is answered, in `sent`: the gateway may send it again
--            2 for the window, in `seen`: a client may send it again; 4 the same for a job of priority 1
--            3 for the window, in `seen`: it was sent before, and perhaps added
-- Returns  the depth before, and a digit for each job: 1 added, 0 its limit is reached, 2 it was added before, 3 `seen` is full
local call, base = redis.call, string.sub(KEYS[1], 1, -5)
local depth = call('LLEN', KEYS[1]) + call('LLEN', base .. 'paused') + call('LLEN', base .. 'active')
  + call('ZCARD', base .. 'prioritized')
local before = depth

-- The hash of a job is gone when the job is done, so ids are remembered apart from it. A generation is a set that expires as a whole:
-- an id then costs no key of its own. The window is two of them, and the third is the one being filled. If the clock was set back, one
-- is there that comes only later.
local generation, generations, remembered
local function find_generations()
  local time = call('TIME')
  local number = math.floor((time[1] * 1000 + time[2] / 1000) / ARGV[4])
  generations = {}
  for back = 2, -1, -1 do
    local set = base .. 'seen:' .. string.format('%.0f', number - back)
    if back == 0 then generation = set end
    if back == 0 or call('EXISTS', set) == 1 then table.insert(generations, set) end
  end
end
local function is_seen(id)
  if not generation then find_generations() end
  for _, set in ipairs(generations) do
    if call('SISMEMBER', set, id) == 1 then return true end
  end
  return false
end
local function has_room(memory)
  if not remembered then
    remembered = 0
    for _, set in ipairs(generations) do remembered = remembered + call('SCARD', set) end
  end
  -- The last eighth is for priority 1.
  return remembered < ARGV[5] * (memory == '4' and 1 or 0.875)
end
-- Ids that differ in their last three characters alone share a set, so that each such set ends some day and expires.
local function sent(id) return base .. 'sent:' .. string.sub(id, 1, -4) end
local function was_added(id, memory)
  if memory == '0' then return false end
  if is_seen(id) then return true end
  -- What is sent for the first time was added before only if a second sending has overtaken it, and that one is seen.
  if memory == '1' then return false end
  return call('EXISTS', base .. id) == 1 or (memory == '3' and call('SISMEMBER', sent(id), id) == 1)
end

local events, answers, options = base .. 'events', {}, {}
local scores, plain, to_send, to_see = {}, {}, {}, {}
local first = 7 + ARGV[6]
for at = first, #ARGV, 7 do
  local id, name, priority, limit, memory = ARGV[at], ARGV[at + 1], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local is_keyed = memory == '2' or memory == '4'
  local answer = '1'
  if was_added(id, memory) then
    answer = '2'
  elseif limit ~= '' and depth >= tonumber(limit) then
    answer = '0'
  elseif is_keyed and not has_room(memory) then
    answer = '3'
  else
    options[priority] = options[priority] or ARGV[1] .. (priority ~= '0' and ',"priority":' .. priority or '') .. ARGV[2]
    call('HSET', base .. id, 'name', name, 'data', ARGV[at + 2], 'opts', options[priority], 'timestamp', ARGV[at + 3],
      'delay', '0', 'priority', priority)
    depth = depth + 1
    if priority ~= '0' then
      scores[#scores + 1] = priority
      scores[#scores + 1] = id
    else
      plain[#plain + 1] = id
    end
    if memory == '1' then
      local set = sent(id)
      to_send[set] = to_send[set] or {}
      table.insert(to_send[set], id)
    elseif is_keyed then
      -- At once, as the same key may stand in this call again.
      call('SADD', generation, id)
      call('PEXPIRE', generation, 3 * ARGV[4])
      remembered = remembered + 1
    end
    call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
    call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
  end
  if memory == '3' and answer ~= '0' then table.insert(to_see, id) end
  answers[#answers + 1] = answer
end

if depth > before then
  call('INCRBY', base .. 'id', depth - before)
  local meta = call('HMGET', base .. 'meta', 'paused', 'version', 'opts.maxLenEvents')
  local paused = meta[1] ~= false
  call('XTRIM', events, 'MAXLEN', '~', meta[3] or '10000')
  if #scores > 0 then
    -- Order within one priority is that of arrival. The sum is an exact integer below 2^53.
    local turn = call('INCRBY', base .. 'pc', #scores / 2) - #scores / 2
    for at = 1, #scores, 2 do
      turn = turn + 1
      scores[at] = string.format('%.0f', scores[at] * 4294967296 + turn % 4294967296)
    end
    call('ZADD', base .. 'prioritized', unpack(scores))
  end
  if #plain > 0 then
    -- BullMQ 5 renames `wait` while it is paused, and takes back only what is in the renamed list.
    local is_renamed = paused and meta[2] and string.match(meta[2], '^bullmq:[0-5]%.')
    call('LPUSH', is_renamed and base .. 'paused' or KEYS[1], unpack(plain))
  end
  -- One is enough: a worker that takes a job puts it back for the next worker.
  if not paused then call('ZADD', base .. 'marker', 0, '0') end
end
for set, ids in pairs(to_send) do
  call('SADD', set, unpack(ids))
  call('PEXPIRE', set, ARGV[3])
end
for _, id in ipairs(to_see) do
  call('SADD', generation, id)
  call('PEXPIRE', generation, 3 * ARGV[4])
  call('SREM', sent(id), id)
end
-- Last, because Redis refuses only the first write of a script when it is full, and never this one.
for at = 7, first - 1 do call('SREM', sent(ARGV[at]), ARGV[at]) end
return {before, table.concat(answers)}
